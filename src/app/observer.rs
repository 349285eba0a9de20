//! Between the listener and the metrics.

use std::time::Duration;

use metrics::Gauge;
use tonic::Code;

use crate::grpc::call::{Method, Observer, list_methods};
use crate::telemetry::{GrpcMethod, Metrics};

/// Counts calls and connections.
pub struct CallMetrics {
    methods: Vec<GrpcMethod>,
    connections: Gauge,
}

impl CallMetrics {
    /// For every method of the API.
    pub fn new(metrics: &Metrics) -> Self {
        let methods = list_methods().iter().map(|method| metrics.grpc_method(method.name())).collect();
        Self { methods, connections: metrics.connections("grpc") }
    }
}

impl Observer for CallMetrics {
    fn answered(&self, method: &'static Method, code: Code, took: Duration) {
        if let Some(counts) = self.methods.get(method.index) {
            counts.answered(usize::try_from(code as i32).unwrap_or_default(), took);
        }
    }

    fn connection_opened(&self) {
        self.connections.increment(1.0);
    }

    fn connection_closed(&self) {
        self.connections.decrement(1.0);
    }
}
