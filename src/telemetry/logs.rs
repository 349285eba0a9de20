//! The log: one line per event, for people or for programs, on the standard error.

use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use super::call::WithCall;
use crate::config::{Log, LogFormat};

/// The log can't be started.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is not one.
    #[error("log.filter is not a level (error, warn, info, debug, trace) or module=level pairs; correct it")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// There is one already.
    #[error("the log of this process was started already; start it once, in main")]
    Started(#[from] tracing::subscriber::SetGlobalDefaultError),
}

/// Starts the process's log. Once.
pub fn start_log(log: &Log) -> Result<(), LogError> {
    let colours = std::io::stderr().is_terminal();
    let subscriber = subscriber(log, std::io::stderr, colours)?;
    tracing::subscriber::set_global_default(subscriber)?;
    Ok(())
}

/// Has panics logged by their place alone: a message may hold anything that was in a variable.
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(log_panic));
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    tracing::error!(place, "a panic; its message is left out, since it may hold a secret");
}

fn subscriber<W>(log: &Log, writer: W, colours: bool) -> Result<impl Subscriber + Send + Sync + use<W>, LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&log.filter)?;
    let lines = fmt::layer().with_writer(writer);
    let format = log.format;
    let layer = match format {
        LogFormat::Text => lines.map_event_format(|inner| WithCall { inner: inner.with_ansi(colours), format }).boxed(),
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(false).with_span_list(false);
            lines.map_event_format(|inner| WithCall { inner, format }).boxed()
        }
    };
    Ok(Registry::default().with(layer.with_filter(filter)))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::telemetry::CallName;

    /// What was logged.
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, filter: &str, work: impl FnOnce()) -> String {
        let page = Page::default();
        let writer = page.clone();
        let log = Log { format, filter: filter.to_owned() };
        tracing::subscriber::with_default(subscriber(&log, move || writer.clone(), false).unwrap(), work);
        String::from_utf8(page.0.lock().unwrap().clone()).unwrap()
    }

    fn one_request() {
        CallName { method: "AcquireLease", request_id: "req-7".into() }.within(|| {
            tracing::info!(lease = "lse_1", "a lease was opened");
            tracing::debug!("a detail");
        });
    }

    #[test]
    fn json_lines_carry_the_request_id() {
        let text = logged(LogFormat::Json, "info", one_request);
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(line["message"], "a lease was opened");
        assert_eq!(line["lease"], "lse_1");
        assert_eq!(line["request_id"], "req-7");
        assert_eq!(line["method"], "AcquireLease");
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn text_lines_carry_the_request_id_and_the_filter_holds() {
        let text = logged(LogFormat::Text, "info", one_request);
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("request_id=\"req-7\"") && text.contains("a lease was opened"), "{text}");
        assert!(logged(LogFormat::Text, "debug", one_request).contains("a detail"));
    }

    #[test]
    fn a_name_cannot_forge_a_line() {
        let forged = || tracing::info!(name = "a\n2026-01-01 ERROR forged \x1b[31m", "seen");
        for format in [LogFormat::Text, LogFormat::Json] {
            let text = logged(format, "info", forged);
            assert_eq!(text.lines().count(), 1, "{text}");
            assert!(!text.contains('\x1b'), "{text}");
        }
    }

    #[test]
    fn a_filter_that_is_none_is_refused() {
        let log = Log { format: LogFormat::Text, filter: "a=b=c".to_owned() };
        assert!(matches!(subscriber(&log, io::sink, false).err(), Some(LogError::Filter(_))));
    }

    #[test]
    fn a_panic_is_logged_by_its_place_alone() {
        let before = std::panic::take_hook();
        install_panic_hook();
        let text = logged(LogFormat::Text, "info", || {
            let outcome = std::panic::catch_unwind(|| panic!("{}", "canary".repeat(2)));
            assert!(outcome.is_err());
        });
        std::panic::set_hook(before);
        assert!(text.contains("logs.rs") && text.contains("ERROR"), "{text}");
        assert!(!text.contains("canarycanary"), "{text}");
    }
}
