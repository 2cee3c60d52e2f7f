// The one entry: hands over to the program that the first word names. Loads nothing else, so that a quick command starts quickly.
// No top-level await: the single executable is built from a CommonJS bundle of this file.

async function run(argv: readonly string[]): Promise<number> {
  switch (argv[2]) {
    case '__scan': {
      const { runScanChild } = await import('./adapters/proc/scan-child.ts');
      runScanChild();
      return 0;
    }
    case 'agent': {
      const { main } = await import('./agent/main.ts');
      return main(argv);
    }
    case 'controller': {
      const { main } = await import('./controller/main.ts');
      return main(argv);
    }
    default: {
      const { main } = await import('./cli/main.ts');
      return main(argv);
    }
  }
}

void run(process.argv).then((exitCode) => {
  process.exitCode = exitCode;
});
