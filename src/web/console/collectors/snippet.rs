//! Programs to begin with: a lease taken and given back with a collector's key, in several languages. The key itself stands in none of them:
//! they read it from the environment.

use crate::base::ids::NetworkId;
use crate::domain::networks::{Operation, Purpose};
use crate::domain::team::Collector;
use crate::service::Broker;

const PYTHON: &str = include_str!("../../../../assets/snippets/worker.py");
/// Also an example of this crate, so that it is compiled and run as it is.
const RUST: &str = include_str!("../../../../examples/worker.rs");
/// Where that program, in a crate of its own, has the messages from.
const RUST_PB: &str = include_str!("../../../../assets/snippets/pb.rs");
const GRPCURL: &str = include_str!("../../../../assets/snippets/lease.sh");

/// What the program in Rust needs beside itself.
const RUST_BUILD: &str = "\
// Cargo.toml: tonic with \"tls-native-roots\", tonic-prost, prost, tokio with \"full\"; to build: tonic-prost-build.
// build.rs: tonic_prost_build::configure().compile_protos(&[\"proto/tokenbroker/v1/lease_service.proto\"], &[\"proto\"])
";

/// The programs.
pub(super) struct Snippets {
    /// Puts the broker's address in the environment.
    pub(super) address: String,
    pub(super) python: String,
    pub(super) rust: String,
    pub(super) grpcurl: String,
}

/// What the programs ask for.
struct Wanted {
    team: String,
    network: String,
    operation: String,
    purpose: Purpose,
    address: String,
    encrypted: bool,
}

/// The programs for a collector: with an operation that it may ask for, and that a token of its team can serve, if there is one.
pub(super) fn snippets(broker: &Broker, collector: &Collector) -> Snippets {
    let wanted = wanted(broker, collector);
    Snippets {
        address: format!("export TOKEN_BROKER_SERVER={}://{}", wanted.scheme(), wanted.address),
        python: wanted.python(),
        rust: wanted.rust(),
        grpcurl: wanted.grpcurl(),
    }
}

fn wanted(broker: &Broker, collector: &Collector) -> Wanted {
    let scope = &collector.scope;
    let networks = broker.catalogue.iter().filter(|network| scope.reaches(&network.id));
    let allowed = networks.flat_map(|network| {
        let operations = network.operations.iter().enumerate();
        operations.flat_map(move |(place, operation)| {
            let purposes = operation.purposes.iter().filter(|purpose| scope.purposes.contains(**purpose));
            purposes.map(move |purpose| (&network.id, place, operation, *purpose))
        })
    });
    let allowed: Vec<(&NetworkId, usize, &Operation, Purpose)> = allowed.collect();
    let served = allowed
        .iter()
        .find(|(network, place, _, purpose)| broker.has_token_for(&collector.team, network, *place, *purpose));
    let (network, operation, purpose) = match served.or(allowed.first()) {
        Some((network, _, operation, purpose)) => (network.to_string(), operation.id.to_string(), Some(*purpose)),
        None => (scope.networks.first().map(NetworkId::to_string).unwrap_or_default(), String::new(), None),
    };
    let grpc = &broker.config.grpc;
    let host = broker.config.http.public_url.as_ref().and_then(|url| url.host_str().map(str::to_owned));
    Wanted {
        team: collector.team.to_string(),
        network,
        operation,
        purpose: purpose.unwrap_or(Purpose::CollectContent),
        address: host.map_or_else(|| grpc.listen.to_string(), |host| format!("{host}:{}", grpc.listen.port())),
        encrypted: grpc.tls.cert.is_some(),
    }
}

impl Wanted {
    const fn scheme(&self) -> &'static str {
        if self.encrypted { "https" } else { "http" }
    }

    /// A program, with what is asked for in the place of its marks.
    fn filled(&self, program: &str, purpose: &str, marks: &[(&str, &str)]) -> String {
        let marks = marks.iter().copied().chain([
            ("<team>", self.team.as_str()),
            ("<network>", &self.network),
            ("<operation>", &self.operation),
            ("<purpose>", purpose),
            ("<address>", &self.address),
        ]);
        marks.fold(program.to_owned(), |text, (mark, value)| text.replace(mark, value))
    }

    fn python(&self) -> String {
        let channel = match self.encrypted {
            true => "grpc.secure_channel(\"<address>\", grpc.ssl_channel_credentials())",
            false => "grpc.insecure_channel(\"<address>\")",
        };
        self.filled(PYTHON, &self.purpose.as_str().to_uppercase(), &[("<channel>", channel)])
    }

    /// The example, with `pb` made from the .proto files and what is asked for in the place of what the example asks for.
    fn rust(&self) -> String {
        let (_, program) = RUST.split_once("\n\n").unwrap_or(("", RUST));
        let main = format!("\n{RUST_PB}\n#[tokio::main]");
        let marks = [
            ("use token_broker::grpc::pb;\n", ""),
            ("\n#[tokio::main]", &main),
            ("teams/acme", "teams/<team>"),
            ("networks/x", "networks/<network>"),
            ("tweets.list", "<operation>"),
            ("CollectStatistics", "<purpose>"),
        ];
        let marked = marks.iter().fold(program.to_owned(), |text, (example, mark)| text.replace(example, mark));
        self.filled(&format!("{RUST_BUILD}{marked}"), &pascal(self.purpose.as_str()), &[])
    }

    fn grpcurl(&self) -> String {
        let plaintext = if self.encrypted { "" } else { "-plaintext " };
        self.filled(GRPCURL, &self.purpose.as_str().to_uppercase(), &[("<plaintext>", plaintext)])
    }
}

/// A name with underscores as Rust names a variant.
fn pascal(name: &str) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_uppercase() + rest
    };
    name.split('_').map(word).collect()
}
