import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

/**
 * Does what Netty's NativeLibraryLoader does with a bundled JNI library: copies it to a temporary file, loads it,
 * deletes the file. Then prints a line each second. Argument: the library to copy.
 */
public class GhostJvm {
    public static void main(String[] args) throws Exception {
        Path copy = Files.createTempFile("libnetty_tcnative_linux_x86_64", ".so");
        Files.copy(Path.of(args[0]), copy, StandardCopyOption.REPLACE_EXISTING);
        System.load(copy.toString());
        Files.delete(copy);
        PrintStream out = System.out;
        out.println("loaded and deleted " + copy);
        for (long tick = 1; ; tick++) {
            out.println("tick " + tick);
            Thread.sleep(1000);
        }
    }
}
