//! What LinkedIn wants in the head of every call: the version of the API that the caller was written for, and for finders the version of the
//! protocol. Written from its documentation, and not from the catalogue.

use serde_json::json;

use super::http_answer::HttpAnswer;
use super::refusal::Family;
use crate::domain::networks::Network;

/// The first version that there was; months are counted in `YYYYMM`.
const FIRST: u32 = 202_206;

/// What is answered to a call that does not say what it must; `None`: it does. `header` finds a header of it; `is_finder`: it searches (`q`).
pub(super) fn refused<'h>(
    network: &Network,
    header: impl Fn(&str) -> Option<&'h str>,
    is_finder: bool,
) -> Option<HttpAnswer> {
    if Family::of(network) != Family::LinkedIn {
        return None;
    }
    let refused = |status: u16, code: &str, message: &str| {
        let body = json!({ "status": status, "code": code, "message": message });
        Some(HttpAnswer::json(status, Vec::new(), &body))
    };
    let is_version = |text: &str| text.len() == 6 && text.parse().is_ok_and(|version: u32| version >= FIRST);
    match header("linkedin-version") {
        None => refused(400, "VERSION_MISSING", "A version must be present. Add the LinkedIn-Version header."),
        Some(version) if !is_version(version) => {
            refused(426, "NONEXISTENT_VERSION", "The requested version is not active.")
        }
        Some(_) if is_finder && header("x-restli-protocol-version") != Some("2.0.0") => {
            refused(400, "ILLEGAL_ARGUMENT", "Finders need the header X-Restli-Protocol-Version: 2.0.0.")
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::networks::{Answer, Catalogue, ErrorClass, classify};

    #[test]
    fn a_call_names_its_version_and_a_finder_its_protocol() {
        let catalogue = Catalogue::embedded();
        let linkedin = catalogue.network("linkedin").unwrap();
        let class = |version: Option<&str>, protocol: Option<&str>, is_finder: bool| {
            let header = |name: &str| if name == "linkedin-version" { version } else { protocol };
            let refused = refused(linkedin, header, is_finder)?;
            let said = Answer { status: refused.status, headers: &[], body: refused.body.as_bytes() };
            Some(classify(linkedin, &said).class)
        };
        let app_level = Some(ErrorClass::AppLevel);
        assert_eq!(class(None, Some("2.0.0"), true), app_level);
        assert_eq!(class(Some("2026"), None, false), app_level);
        assert_eq!(class(Some("202607"), None, true), Some(ErrorClass::Transient));
        assert_eq!((class(Some("202607"), None, false), class(Some("202607"), Some("2.0.0"), true)), (None, None));
        let sent = |name: &str| {
            let mut own = linkedin.request_headers.iter();
            own.find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
        };
        assert_eq!(refused(linkedin, sent, true), None, "what the catalogue sends suffices");
        assert_eq!(refused(catalogue.network("x").unwrap(), |_| None, true), None);
    }
}
