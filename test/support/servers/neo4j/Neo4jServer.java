import java.nio.file.Path;
import org.neo4j.configuration.GraphDatabaseSettings;
import org.neo4j.configuration.connectors.BoltConnector;
import org.neo4j.configuration.helpers.SocketAddress;
import org.neo4j.dbms.api.DatabaseManagementService;
import org.neo4j.dbms.api.DatabaseManagementServiceBuilder;
import org.neo4j.io.ByteUnit;

/**
 * The Neo4j server of the tests: Bolt on a loopback port, no authentication, its data in the given folder, so that
 * it survives a SIGKILL and a new start. Run from source: java -cp 'jars/*' Neo4jServer.java PORT FOLDER
 */
public class Neo4jServer {
    public static void main(String[] args) {
        var address = new SocketAddress("127.0.0.1", Integer.parseInt(args[0]));
        DatabaseManagementService server = new DatabaseManagementServiceBuilder(Path.of(args[1]))
            .setConfig(BoltConnector.enabled, true)
            .setConfig(BoltConnector.listen_address, address)
            .setConfig(BoltConnector.advertised_address, address)
            .setConfig(GraphDatabaseSettings.auth_enabled, false)
            .setConfig(GraphDatabaseSettings.pagecache_memory, ByteUnit.mebiBytes(64))
            .setConfig(GraphDatabaseSettings.preallocate_logical_logs, false)
            .build();
        Runtime.getRuntime().addShutdownHook(new Thread(server::shutdown));
        server.database("neo4j").isAvailable(30_000);
        System.out.println("READY bolt://" + address);
    }
}
