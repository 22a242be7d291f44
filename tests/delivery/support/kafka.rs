//! Apache Kafka: one node that is broker and controller, on ports and in a directory of its own.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;

use super::process;
use super::service::signal;
use super::topics::PATIENCE;

/// The user of the secure listener.
pub const USER: &str = "floodmark";
/// That user's password.
pub const PASSWORD: &str = "a-password-for-tests";
/// Password of the key store that a test makes.
const STORE_PASSWORD: &str = "changeit";
/// Any will do: a cluster of one node, used once.
const CLUSTER_ID: &str = "AAAAAAAAQACAAAAAAAAAAA";
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A running broker; dropping it ends the process.
pub struct ApacheKafka {
    directory: tempfile::TempDir,
    port: u16,
    secure_port: u16,
    child: Option<Child>,
}

/// Consumer settings under which a dead member is noticed, and a broker that came back is found, within seconds.
pub fn client_properties() -> BTreeMap<String, String> {
    [("session.timeout.ms", "3000"), ("heartbeat.interval.ms", "500"), ("reconnect.backoff.max.ms", "500")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

impl ApacheKafka {
    /// Starts a broker with a plain listener.
    pub fn start() -> Self {
        Self::launch(false)
    }

    /// Starts a broker that has a listener with TLS and SASL (PLAIN and SCRAM-SHA-256) as well.
    pub fn start_secure() -> Self {
        Self::launch(true)
    }

    fn launch(secure: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // All are held until all are known, so that they differ.
        let listeners = [(); 3].map(|()| TcpListener::bind(("127.0.0.1", 0)).unwrap());
        let [port, controller_port, secure_port] = listeners.each_ref().map(|l| l.local_addr().unwrap().port());
        drop(listeners);
        let mut broker = Self { directory, port, secure_port, child: None };
        if secure {
            broker.make_keys();
        }
        let properties = properties(broker.path(), [port, controller_port], secure.then_some(secure_port));
        std::fs::write(broker.path().join("server.properties"), properties).unwrap();
        broker.format(secure);
        broker.start_again();
        broker
    }

    /// `host:port` of the plain listener.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `host:port` of the listener with TLS and SASL.
    pub fn secure_address(&self) -> String {
        format!("127.0.0.1:{}", self.secure_port)
    }

    /// The certificate that clients of the secure listener trust.
    pub fn certificate(&self) -> PathBuf {
        self.path().join("broker.pem")
    }

    /// Whether it runs.
    pub fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// Kills it as a crash would.
    pub fn kill_9(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Ends it as an operator would.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            signal(child.id(), libc::SIGTERM);
            child.wait().unwrap();
        }
    }

    /// Starts it on the same ports with the same data, and waits until it answers.
    #[allow(clippy::disallowed_methods)] // A deadline takes a clock.
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "the broker runs");
        let log = self.path().join("broker.log");
        let output = File::options().create(true).append(true).open(&log).unwrap();
        let mut command = java();
        command.arg("kafka.Kafka").arg(self.path().join("server.properties"));
        command.stdout(output.try_clone().unwrap()).stderr(output);
        self.child = Some(process::spawn(command).expect("java starts (Debian: openjdk-17-jre-headless)"));
        let client: BaseConsumer = self.client_config().create().unwrap();
        let deadline = Instant::now() + PATIENCE;
        let shown = || std::fs::read_to_string(&log).unwrap_or_default();
        while std::net::TcpStream::connect(self.address()).is_err() {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "the broker does not listen: {ended:?}\n{}", shown());
            std::thread::sleep(POLL_INTERVAL);
        }
        while let Err(error) = client.fetch_metadata(None, Duration::from_secs(1)) {
            assert!(Instant::now() < deadline, "the broker does not answer: {error}\n{}", shown());
        }
    }

    /// Creates topics, each with its number of partitions.
    ///
    /// # Errors
    /// The broker does not answer; a topic that is refused is a failure of the test.
    pub async fn create_topics(&self, topics: &[(&str, i32)]) -> Result<(), KafkaError> {
        let admin: AdminClient<DefaultClientContext> = self.client_config().create()?;
        let new: Vec<NewTopic<'_>> = topics
            .iter()
            .map(|(name, partitions)| NewTopic::new(name, *partitions, TopicReplication::Fixed(1)))
            .collect();
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        for result in admin.create_topics(&new, &options).await? {
            result.unwrap();
        }
        Ok(())
    }

    fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.address()).set("reconnect.backoff.max.ms", "200");
        config
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn format(&self, secure: bool) {
        let mut command = java();
        command.args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"]);
        command.arg(self.path().join("server.properties"));
        if secure {
            command.arg("--add-scram").arg(format!("SCRAM-SHA-256=[name={USER},password={PASSWORD}]"));
        }
        run(command);
    }

    /// A key and its certificate, signed by itself, in the forms that broker and clients want.
    fn make_keys(&self) {
        let keytool = |arguments: &[&str]| {
            let mut command = Command::new("keytool");
            let store = ["-alias", "broker", "-storepass", STORE_PASSWORD, "-keystore", "broker.p12"];
            command.args(arguments).args(store).current_dir(self.path());
            run(command);
        };
        let subject = ["-dname", "CN=127.0.0.1", "-ext", "SAN=IP:127.0.0.1", "-validity", "2"];
        keytool(&[&["-genkeypair", "-keyalg", "EC", "-storetype", "PKCS12"], &subject[..]].concat());
        keytool(&["-exportcert", "-rfc", "-file", "broker.pem"]);
    }
}

impl Drop for ApacheKafka {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.path().join("broker.log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            lines[lines.len().saturating_sub(20)..].iter().for_each(|line| eprintln!("broker: {line}"));
        }
        self.kill_9();
    }
}

/// A Java that starts quickly rather than runs fast, with Kafka on its class path.
fn java() -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let jars = root.join(".local/engines/kafka/lib");
    assert!(jars.is_dir(), "{} is missing: `make engine-kafka` fetches it", jars.display());
    let log = root.join("engines/kafka/log4j2.properties");
    let mut command = Command::new("java");
    command.args(["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
    command.arg(format!("-Dlog4j2.configurationFile={}", log.display()));
    command.arg("-cp").arg(jars.join("*")).stdin(Stdio::null());
    command
}

fn run(mut command: Command) {
    let output = command.output().expect("java is installed (Debian: openjdk-17-jre-headless)");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

fn properties(directory: &Path, [port, controller_port]: [u16; 2], secure_port: Option<u16>) -> String {
    let plain = format!("PLAINTEXT://127.0.0.1:{port}");
    let secure = secure_port.map(|port| format!(",SASL_SSL://127.0.0.1:{port}")).unwrap_or_default();
    let mut text = format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listeners={plain}{secure},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners={plain}{secure}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL
log.dirs={directory}/data
log.segment.bytes=16777216
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=2000
num.network.threads=2
num.io.threads=2
",
        directory = directory.display()
    );
    if secure_port.is_some() {
        let module = "org.apache.kafka.common.security";
        text += &format!(
            "ssl.keystore.type=PKCS12
ssl.keystore.location={directory}/broker.p12
ssl.keystore.password={STORE_PASSWORD}
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256
listener.name.sasl_ssl.plain.sasl.jaas.config={module}.plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\";
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config={module}.scram.ScramLoginModule required;
",
            directory = directory.display()
        );
    }
    text
}
