//! The call that a log line is about.
//!
//! A span of `tracing` makes text of its fields for each call, and most calls log nothing. Here the name of a call stands beside its
//! future, and becomes text only in a line that is written.

use std::fmt;
use std::sync::Arc;

use serde_json::json;
use tokio::task::futures::TaskLocalFuture;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

use crate::config::LogFormat;

tokio::task_local! {
    static CALL: CallName;
}

/// What every log line of a call says of it.
#[derive(Clone, Debug)]
pub struct CallName {
    /// The full name of its method.
    pub method: &'static str,
    /// Its request id.
    pub request_id: Arc<str>,
}

impl CallName {
    /// Names the call in all lines that `work` logs. What `work` spawns is not a part of it.
    pub fn around<F: Future>(self, work: F) -> TaskLocalFuture<Self, F> {
        CALL.scope(self, work)
    }

    /// The same for work that does not wait.
    pub fn within<T>(self, work: impl FnOnce() -> T) -> T {
        CALL.sync_scope(self, work)
    }
}

/// Writes lines as `inner` does, with the name of the call that they are about at their ends.
pub(super) struct WithCall<F> {
    pub inner: F,
    pub format: LogFormat,
}

impl<S, N, F> FormatEvent<S, N> for WithCall<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let Ok(call) = CALL.try_with(CallName::clone) else {
            return self.inner.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.inner.format_event(context, Writer::new(&mut line), event)?;
        let line = line.trim_end();
        let (method, request_id) = (json!(call.method), json!(&*call.request_id));
        match self.format {
            LogFormat::Text => writeln!(writer, "{line} method={method} request_id={request_id}"),
            LogFormat::Json => {
                let line = line.strip_suffix('}').ok_or(fmt::Error)?;
                writeln!(writer, r#"{line},"method":{method},"request_id":{request_id}}}"#)
            }
        }
    }
}
