//! The methods that the listener may be asked for, read from the descriptors once.
//!
//! The table bounds the method label of metrics and says which calls may last. A method that it does not know is `unknown`
//! and counts as unary: the routes answer it with UNIMPLEMENTED.

use std::sync::LazyLock;

use foldhash::HashMap;
use prost::Message;
use prost_types::FileDescriptorSet;

use crate::grpc::pb;

/// How long a call lasts by its nature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    /// One request, one answer, at once.
    Unary,
    /// One request, one answer, perhaps after waiting for credit.
    Waiting,
    /// Messages flow until one side ends it.
    Stream,
}

/// One method of the API.
#[derive(Debug, PartialEq, Eq)]
pub struct Method {
    path: String,
    /// How long its calls last.
    pub kind: CallKind,
    /// Its place in [`list_methods`].
    pub index: usize,
}

impl Method {
    /// Its full name, such as `tokenbroker.v1.LeaseService/AcquireLease`.
    pub fn name(&self) -> &str {
        self.path.trim_start_matches('/')
    }
}

/// Unary in the descriptors, and yet long.
const WAITING: [&str; 1] = ["/tokenbroker.v1.LeaseService/AcquireLease"];

struct Table {
    methods: Vec<Method>,
    by_path: HashMap<String, usize>,
}

static TABLE: LazyLock<Table> = LazyLock::new(Table::read);

impl Table {
    fn read() -> Self {
        let mut methods = vec![Method { path: "unknown".to_owned(), kind: CallKind::Unary, index: 0 }];
        let sets = [
            pb::FILE_DESCRIPTOR_SET,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ];
        for set in sets {
            let set = FileDescriptorSet::decode(set).expect("the compiler of the API wrote these descriptors");
            methods_in(&set, &mut methods);
        }
        let by_path = methods.iter().map(|method| (method.path.clone(), method.index)).collect();
        Self { methods, by_path }
    }
}

fn methods_in(set: &FileDescriptorSet, methods: &mut Vec<Method>) {
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                let kind = match method.client_streaming() || method.server_streaming() {
                    true => CallKind::Stream,
                    false if WAITING.contains(&path.as_str()) => CallKind::Waiting,
                    false => CallKind::Unary,
                };
                methods.push(Method { path, kind, index: methods.len() });
            }
        }
    }
}

/// The method at `path` (`/package.Service/Method`); the one named `unknown` if there is none.
pub fn find_method(path: &str) -> &'static Method {
    let table = &*TABLE;
    &table.methods[table.by_path.get(path).copied().unwrap_or(0)]
}

/// Every method, in the order of [`Method::index`]; the first is `unknown`.
pub fn list_methods() -> &'static [Method] {
    &TABLE.methods
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_descriptors_say_which_calls_last() {
        let cases = [
            ("/tokenbroker.v1.LeaseService/AcquireLease", CallKind::Waiting),
            ("/tokenbroker.v1.LeaseService/ReportUsage", CallKind::Unary),
            ("/tokenbroker.v1.LeaseService/Collect", CallKind::Stream),
            ("/tokenbroker.v1.TokenService/ImportTokens", CallKind::Stream),
            ("/tokenbroker.v1.AlertService/WatchAlerts", CallKind::Stream),
            ("/grpc.health.v1.Health/Check", CallKind::Unary),
            ("/grpc.health.v1.Health/Watch", CallKind::Stream),
            ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", CallKind::Stream),
        ];
        for (path, kind) in cases {
            let method = find_method(path);
            assert_eq!((method.kind, method.name()), (kind, &path[1..]));
        }
    }

    #[test]
    fn every_waiting_method_exists() {
        for path in WAITING {
            assert_ne!(find_method(path).index, 0, "{path}");
        }
    }

    #[test]
    fn strangers_share_one_name() {
        for path in ["", "/", "unknown", "/unknown", "/tokenbroker.v1.LeaseService/", "/x/y"] {
            assert_eq!(find_method(path).name(), "unknown", "{path}");
        }
    }

    #[test]
    fn an_index_is_a_place() {
        for (place, method) in list_methods().iter().enumerate() {
            assert_eq!(method.index, place);
        }
    }
}
