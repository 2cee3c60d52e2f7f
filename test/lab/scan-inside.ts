// Scans the process given by its pid with the whole real scanner and prints the result as JSON; runs inside a lab node.
import { startProcGhostScanner } from '../contract/proc-ghost-scanner.ts';

const scanner = startProcGhostScanner();
console.log(JSON.stringify(await scanner.scan(Number(process.argv[2]))));
scanner.close();
