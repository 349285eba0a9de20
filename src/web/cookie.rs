//! The cookie of a session. Its name begins with `__Host-`: browsers take it from this very host only, over TLS (or from this machine
//! itself), for all of its paths.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::base::secret::Secret;

const NAME: &str = "__Host-session";
/// The cookie of an operator's session: whoever is a member too is both in one browser.
const OPERATOR: &str = "__Host-operator";

/// The secret in a request's cookie; empty if there is none.
pub fn session_of(headers: &HeaderMap) -> &str {
    value_of(headers, NAME)
}

fn value_of<'h>(headers: &'h HeaderMap, wanted: &str) -> &'h str {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == wanted).map_or("", |(_, value)| value)
}

/// The secret of an operator's session; empty if there is none.
pub fn operator_session_of(headers: &HeaderMap) -> &str {
    value_of(headers, OPERATOR)
}

/// What makes a browser keep the secret, until it is closed or the session ends.
pub fn keep(secret: &Secret) -> Option<HeaderValue> {
    kept(NAME, secret, "Lax")
}

/// The same for an operator. No other site leads into its pages with it.
pub fn keep_operator(secret: &Secret) -> Option<HeaderValue> {
    kept(OPERATOR, secret, "Strict")
}

fn kept(name: &str, secret: &Secret, same_site: &str) -> Option<HeaderValue> {
    let text = format!("{name}={}; Path=/; Secure; HttpOnly; SameSite={same_site}", secret.expose());
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// What makes a browser forget it.
pub fn forget() -> HeaderValue {
    HeaderValue::from_static("__Host-session=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")
}

/// What makes a browser forget an operator's session.
pub fn forget_operator() -> HeaderValue {
    HeaderValue::from_static("__Host-operator=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0")
}

/// The cookie of a browser whose person is asked for the team.
const CHOICE: &str = "__Host-choice";

/// What shows for which teams the password was right; empty if nothing.
pub fn choice_of(headers: &HeaderMap) -> &str {
    value_of(headers, CHOICE)
}

/// What makes a browser keep that, for as long as the person may take.
pub fn keep_choice(secret: &Secret) -> Option<HeaderValue> {
    let text = format!("{CHOICE}={}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=600", secret.expose());
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// What makes a browser forget it.
pub fn forget_choice() -> HeaderValue {
    HeaderValue::from_static("__Host-choice=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0")
}

/// The cookie of a browser that is at an OpenID Connect provider.
#[cfg(feature = "oidc")]
const OIDC: &str = "__Host-oidc";

/// What a browser that comes back from the provider is known by; empty if nothing.
#[cfg(feature = "oidc")]
pub fn oidc_browser_of(headers: &HeaderMap) -> &str {
    value_of(headers, OIDC)
}

/// What makes a browser known that is sent to the provider, for as long as it may take.
#[cfg(feature = "oidc")]
pub fn keep_oidc(secret: &Secret) -> Option<HeaderValue> {
    let text = format!("{OIDC}={}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600", secret.expose());
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The cookie of a form that waits until the person comes back from the provider.
#[cfg(feature = "oidc")]
const FORM: &str = "__Host-form";
/// The longest form that a cookie takes, in bytes: browsers keep 4,096 bytes of a cookie, with its name and what is said of it.
#[cfg(feature = "oidc")]
const LONGEST_FORM: usize = 3_900;

/// The form that waits in a browser, as it was given to [`keep_form`]; empty if there is none.
#[cfg(feature = "oidc")]
pub fn form_of(headers: &HeaderMap) -> &str {
    value_of(headers, FORM)
}

/// What makes a browser keep a form, which is URL-encoded, for as long as a person may take at the provider; `None`: it is too long.
#[cfg(feature = "oidc")]
pub fn keep_form(form: &str) -> Option<HeaderValue> {
    let text = format!("{FORM}={form}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600");
    let mut value = HeaderValue::from_str(&text).ok().filter(|_| form.len() <= LONGEST_FORM)?;
    value.set_sensitive(true);
    Some(value)
}

/// What makes a browser forget the form.
#[cfg(feature = "oidc")]
pub fn forget_form() -> HeaderValue {
    HeaderValue::from_static("__Host-form=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_found_among_others() {
        let headers = |line: &'static str| HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static(line))]);
        for (line, expected) in [
            ("__Host-session=tbs_1", "tbs_1"),
            ("a=b; __Host-session=tbs_1; c=d", "tbs_1"),
            ("session=tbs_1", ""),
            ("X__Host-session=tbs_1", ""),
            ("", ""),
        ] {
            assert_eq!(session_of(&headers(line)), expected, "{line}");
        }
    }

    #[test]
    fn a_cookie_is_kept_from_scripts_and_other_sites() {
        let kept = keep(&Secret::new("tbs_1".to_owned())).unwrap();
        assert_eq!(kept.to_str().unwrap(), "__Host-session=tbs_1; Path=/; Secure; HttpOnly; SameSite=Lax");
        assert!(kept.is_sensitive());
        assert!(forget().to_str().unwrap().starts_with("__Host-session=; ") && NAME == "__Host-session");
        assert!(forget_operator().to_str().unwrap().starts_with(&format!("{OPERATOR}=; ")));
    }
}
