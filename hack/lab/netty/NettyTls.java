import io.netty.handler.ssl.OpenSsl;

/**
 * Loads Netty's BoringSSL as every TLS server on Netty does: Netty copies its JNI library to a temporary file, loads it
 * and deletes the file. Then prints a line each second.
 */
public class NettyTls {
    public static void main(String[] args) throws Exception {
        OpenSsl.ensureAvailability();
        System.out.println("loaded " + OpenSsl.versionString());
        for (long tick = 1; ; tick++) {
            System.out.println("tick " + tick);
            Thread.sleep(1000);
        }
    }
}
