//! The parts of an answer that say what it means, found where the catalogue says that they are.

use serde_json::Value;

use super::super::headers::time;
use super::super::model::{Endpoint, ErrorClass, ErrorRule, Network};
use super::{Answer, Classified, exactness, is_success};

/// A body is read up to this many bytes.
const LONGEST_BODY: usize = 64 * 1024;
/// A code that is longer, in bytes, is a text and not a code.
const LONGEST_CODE: usize = 128;

/// What an answer says.
pub struct Said<'a> {
    answer: &'a Answer<'a>,
    body: Option<Value>,
    /// The codes, the better ones first.
    codes: Vec<String>,
    subcode: Option<String>,
    /// In lower case.
    message: Option<String>,
    /// The network itself says that the call may be repeated.
    pub asks_to_repeat: bool,
    /// A page for people: not the network's API speaks, but something before it.
    pub is_html: bool,
}

impl<'a> Said<'a> {
    /// Takes an answer of `network` apart.
    pub fn read(network: &Network, answer: &'a Answer<'a>) -> Self {
        let form = &network.error_body;
        let body = parse(answer.body);
        let values = |places: &[String]| -> Vec<&Value> {
            places.iter().filter_map(|place| value_at(body.as_ref()?, place)).collect()
        };
        let mut codes: Vec<String> = values(&form.code).into_iter().filter_map(code_text).collect();
        if form.challenge {
            codes.extend(challenged(answer.headers));
        }
        let subcode = values(&form.subcode).into_iter().find_map(code_text);
        let message = values(&form.message).into_iter().find_map(Value::as_str).map(str::to_lowercase);
        let asks_to_repeat = values(&form.transient).into_iter().any(|value| value.as_bool() == Some(true));
        Said { answer, codes, subcode, message, asks_to_repeat, is_html: is_html(answer), body }
    }

    /// The most exact rule for `endpoint` that matches, and the code that it matched. Between rules that are equally exact
    /// the better code decides, then their order.
    pub fn rule<'n>(&self, network: &'n Network, endpoint: Endpoint) -> Option<(&'n ErrorRule, Option<String>)> {
        let mut best: Option<(&ErrorRule, Option<usize>)> = None;
        for rule in network.errors.iter().filter(|rule| rule.at == endpoint && self.concerns(network, rule)) {
            if best.is_some_and(|(best, _)| exactness(best) > exactness(rule)) {
                break;
            }
            if let Some(code) = self.matches(rule)
                && best.is_none_or(|(_, better)| code < better)
            {
                best = Some((rule, code));
            }
        }
        best.map(|(rule, code)| (rule, code.and_then(|at| self.codes.get(at).cloned())))
    }

    /// The most exact rule for the API that the code alone decides.
    pub fn rule_by_code<'n>(&self, network: &'n Network) -> Option<&'n ErrorRule> {
        let by_code = |rule: &&ErrorRule| {
            rule.at == Endpoint::Api && rule.code.is_some() && rule.subcode.is_none() && rule.message.is_none()
        };
        network.errors.iter().filter(by_code).find(|rule| self.matches(rule).is_some())
    }

    /// Whether a rule is about such an answer at all: an answer that says it is good is judged by no rule.
    fn concerns(&self, network: &Network, rule: &ErrorRule) -> bool {
        let names_status = rule.http.is_some();
        let names_words = rule.code.is_some() || rule.subcode.is_some() || rule.message.is_some();
        let says_good = network.error_body.success_code.is_some() && self.is_good(network);
        !is_success(self.answer.status) || ((names_status || names_words) && !says_good)
    }

    /// `None` if the rule does not match; else the place of the code that it matched, if it asks for one.
    fn matches(&self, rule: &ErrorRule) -> Option<Option<usize>> {
        let status = rule.http.is_none_or(|http| http == self.answer.status);
        let subcode = rule.subcode.as_deref().is_none_or(|from| {
            self.subcode.as_deref().is_some_and(|subcode| is_in_range(subcode, from, rule.subcode_to))
        });
        let header = rule.header.as_deref().is_none_or(|wanted| has_header(self.answer.headers, wanted));
        if !(status && subcode && header && self.has_message(rule.message.as_deref())) {
            return None;
        }
        match rule.code.as_deref() {
            None => Some(None),
            Some(from) => self.codes.iter().position(|code| is_in_range(code, from, rule.code_to)).map(Some),
        }
    }

    fn has_message(&self, part: Option<&str>) -> bool {
        let Some(part) = part else { return true };
        self.message.as_deref().is_some_and(|message| message.contains(&part.to_lowercase()))
    }

    /// Whether the answer carries the code of success, or no code.
    pub fn is_good(&self, network: &Network) -> bool {
        let first = self.codes.first();
        network.error_body.success_code.as_ref().zip(first).is_none_or(|(good, code)| good == code)
    }

    /// Whether the body is a JSON object.
    pub fn is_object(&self) -> bool {
        matches!(self.body, Some(Value::Object(_)))
    }

    /// Whether the body has the form of RFC 6749, section 5.2.
    pub fn has_oauth_error(&self) -> bool {
        self.body.as_ref().and_then(|body| body.get("error")).is_some_and(Value::is_string)
    }

    /// The answer's meaning, with what is told beside it.
    pub fn classified(self, class: ErrorClass, decisive: Option<String>) -> Classified {
        let headers = self.answer.headers;
        // A date is measured from the network's own clock.
        let date = header(headers, "date").and_then(time::http_date);
        let retry_after = header(headers, "retry-after").and_then(|text| time::retry_after(text, date));
        let code = decisive.or_else(|| self.codes.into_iter().next());
        Classified { class, retry_after, code, subcode: self.subcode }
    }
}

/// A body as JSON; `None` if it is too long, breaks off or is anything else.
pub fn parse(body: &[u8]) -> Option<Value> {
    let short = Some(body).filter(|body| !body.is_empty() && body.len() <= LONGEST_BODY)?;
    serde_json::from_slice(short).ok()
}

/// What stands at a place: keys and positions joined by dots.
pub fn value_at<'v>(body: &'v Value, place: &str) -> Option<&'v Value> {
    place.split('.').try_fold(body, |value, step| match value {
        Value::Object(members) => members.get(step),
        Value::Array(elements) => elements.get(step.parse::<usize>().ok()?),
        _ => None,
    })
}

/// A code as text. Of a URI (RFC 9457) it is the last part.
fn code_text(value: &Value) -> Option<String> {
    let text = match value {
        Value::Number(number) => return Some(number.to_string()),
        Value::String(text) => text.trim(),
        _ => return None,
    };
    let is_uri = text.starts_with("https://") || text.starts_with("http://");
    let code = if is_uri { text.trim_end_matches('/').rsplit('/').next().unwrap_or(text) } else { text };
    let is_code = !code.is_empty() && code.len() <= LONGEST_CODE && !code.contains(char::is_control);
    (is_code && code != "about:blank").then(|| code.to_owned())
}

/// Whether `code` is `from`, or a number from there up to `to`.
fn is_in_range(code: &str, from: &str, to: Option<u32>) -> bool {
    let Some(to) = to else { return code == from };
    let (code, from) = (code.parse::<u32>().ok(), from.parse::<u32>().ok());
    code.zip(from).is_some_and(|(code, from)| (from..=to).contains(&code))
}

fn header<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.trim())
}

/// `name` must be there; `name: value` must be there with this value.
fn has_header(headers: &[(String, String)], wanted: &str) -> bool {
    match wanted.split_once(':') {
        Some((name, value)) => header(headers, name.trim()) == Some(value.trim()),
        None => header(headers, wanted.trim()).is_some(),
    }
}

fn is_html(answer: &Answer<'_>) -> bool {
    let kind = header(answer.headers, "content-type").unwrap_or_default();
    let declared = kind.get(..9).is_some_and(|start| start.eq_ignore_ascii_case("text/html"));
    declared || answer.body.trim_ascii_start().starts_with(b"<")
}

/// The `error` of a challenge (RFC 6750, section 3).
fn challenged(headers: &[(String, String)]) -> Option<String> {
    let challenge = header(headers, "www-authenticate").filter(|text| text.len() <= LONGEST_BODY)?;
    let (_, rest) = challenge.split_once("error=\"")?;
    let (code, _) = rest.split_once('"')?;
    code_text(&Value::String(code.to_owned()))
}
