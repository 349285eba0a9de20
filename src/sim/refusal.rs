//! How each network says no: status, code and message, as its documentation shows them.
//!
//! The tables are written from the networks' documentation and not from the catalogue's error rules, so that the two check each
//! other. Only a network that is in no family here is answered by the catalogue's rules.

use super::token::Denial;
use super::verdict::{LimitKey, Verdict};
use crate::domain::networks::{Endpoint, ErrorClass, Network, Operation, Owner, Unit, Window};

/// Networks that write answers alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Facebook, Instagram, Threads.
    Graph,
    /// X, version 2.
    X,
    /// YouTube, Google Business Profile.
    Google,
    /// LinkedIn.
    LinkedIn,
    /// Pinterest, version 5.
    Pinterest,
    /// TikTok, version 2.
    TikTok,
    /// Reddit.
    Reddit,
    /// Tumblr.
    Tumblr,
    /// Bluesky.
    Bluesky,
    /// Mastodon.
    Mastodon,
    /// GitHub.
    GitHub,
    /// Any other.
    Other,
}

impl Family {
    /// The family of a network, by the beginning of its id.
    pub fn of(network: &Network) -> Self {
        const FAMILIES: [(&str, Family); 14] = [
            ("facebook", Family::Graph),
            ("instagram", Family::Graph),
            ("threads", Family::Graph),
            ("x", Family::X),
            ("youtube", Family::Google),
            ("google", Family::Google),
            ("linkedin", Family::LinkedIn),
            ("pinterest", Family::Pinterest),
            ("tiktok", Family::TikTok),
            ("reddit", Family::Reddit),
            ("tumblr", Family::Tumblr),
            ("bluesky", Family::Bluesky),
            ("mastodon", Family::Mastodon),
            ("github", Family::GitHub),
        ];
        let first = network.id.as_str().split(['_', '-', '.']).next().unwrap_or_default();
        FAMILIES.iter().find(|(name, _)| *name == first).map_or(Family::Other, |(_, family)| *family)
    }
}

/// One refusal, before it is put into the network's envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The network's code, or its word for the reason; empty where it has none.
    pub code: String,
    /// The network's sub-code, or its status word.
    pub subcode: Option<String>,
    /// For people.
    pub message: String,
}

fn refusal(status: u16, code: &str, subcode: &str, message: &str) -> Refusal {
    let subcode = (!subcode.is_empty()).then(|| subcode.to_owned());
    Refusal { status, code: code.to_owned(), subcode, message: message.to_owned() }
}

impl Refusal {
    /// A failure of the server itself.
    pub(super) fn server_error(family: Family, status: u16) -> Self {
        match family {
            Family::Graph => {
                refusal(status, "2", "", "An unexpected error has occurred. Please retry your request later.")
            }
            Family::Google => refusal(status, "backendError", "INTERNAL", "Backend Error"),
            Family::TikTok => refusal(status, "internal_error", "", "Internal error. Please try again later."),
            Family::X => refusal(status, "Service Unavailable", "", "Service Unavailable"),
            Family::Bluesky => refusal(status, "InternalServerError", "", "Internal Server Error"),
            Family::LinkedIn => refusal(status, "0", "INTERNAL_SERVER_ERROR", "Internal Server Error"),
            Family::Pinterest => refusal(status, "0", "", "Something went wrong on our end."),
            _ => refusal(status, &status.to_string(), "", "Internal Server Error"),
        }
    }
}

/// The limit that refused a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reached<'a> {
    owner: Owner,
    unit: Unit,
    window: &'a Window,
    operation: Option<&'a Operation>,
}

impl<'a> Reached<'a> {
    /// From a verdict of the books; `None` if the call was admitted.
    pub(super) fn of(network: &'a Network, operation: Option<&'a Operation>, verdict: &Verdict) -> Option<Self> {
        let Verdict::Refused { limit: LimitKey { class, place }, owner, .. } = verdict else { return None };
        let class = network.classes.iter().find(|candidate| candidate.id == *class)?;
        let window = &class.limits.get(*place)?.window;
        Some(Self { owner: *owner, unit: class.unit, window, operation })
    }

    /// Whether the quota is one of writing.
    fn publishes(&self) -> bool {
        self.unit == Unit::Posts && self.operation.is_some_and(|operation| operation.method != "GET")
    }

    fn is_daily(&self) -> bool {
        matches!(self.window, Window::Daily { .. })
    }

    fn is_about_a_page(&self) -> bool {
        self.operation.is_some_and(|operation| operation.path.contains("page"))
    }
}

/// The answer of `network` to a call over a limit.
pub(super) fn over_limit(network: &Network, reached: &Reached<'_>) -> Refusal {
    match Family::of(network) {
        Family::Graph => graph_limit(network, reached),
        Family::X if *reached.window == Window::Budget => x_budget(reached),
        Family::X => refusal(429, "Too Many Requests", "rate-limit-exceeded", "Too Many Requests"),
        Family::Google => google_limit(network, reached),
        Family::LinkedIn => linkedin_limit(reached),
        Family::Pinterest => refusal(429, "8", "", "You have exceeded your rate limit. Try again later."),
        Family::TikTok if reached.publishes() => {
            refusal(403, "spam_risk_too_many_posts", "", "The daily post cap of this user is reached.")
        }
        Family::TikTok => {
            refusal(429, "rate_limit_exceeded", "", "The API rate limit was exceeded. Please try again later.")
        }
        Family::Reddit => refusal(429, "429", "", "Too Many Requests"),
        Family::Tumblr => refusal(429, "429", "", "Limit Exceeded"),
        Family::Bluesky => refusal(429, "RateLimitExceeded", "", "Rate Limit Exceeded"),
        Family::Mastodon => refusal(429, "429", "", "Too many requests"),
        Family::GitHub => refusal(403, "403", "", "API rate limit exceeded for user."),
        Family::Other => from_catalogue(network, limit_class(reached), 429, "Too Many Requests"),
    }
}

/// Money that is used up, or the cap on what a billing cycle may read.
fn x_budget(reached: &Reached<'_>) -> Refusal {
    if reached.unit == Unit::QuotaUnits {
        let message = "Your enrolled account does not have any credits to fulfill this request.";
        return refusal(402, "CreditsDepleted", "credits", message);
    }
    refusal(429, "UsageCapExceeded", "usage-capped", "Usage cap exceeded: Monthly product cap")
}

fn graph_limit(network: &Network, reached: &Reached<'_>) -> Refusal {
    let id = network.id.as_str();
    if reached.publishes() && id.starts_with("instagram") {
        let message = "The user reached the maximum number of posts that can be published in 24 hours.";
        return refusal(403, "9", "2207042", message);
    }
    match reached.owner {
        Owner::App => refusal(403, "4", "", "(#4) Application request limit reached"),
        Owner::Profile | Owner::AppPerson if id.starts_with("facebook") => {
            let message = "(#80001) There have been too many calls to this Page account. Wait a bit and try again.";
            refusal(400, "80001", "", message)
        }
        Owner::Profile | Owner::AppPerson if id.starts_with("instagram") => {
            let message =
                "(#80002) There have been too many calls to this Instagram account. Wait a bit and try again.";
            refusal(400, "80002", "", message)
        }
        _ if id.starts_with("facebook") && reached.is_about_a_page() => {
            refusal(400, "32", "", "(#32) Page request limit reached")
        }
        _ => refusal(400, "17", "", "(#17) User request limit reached"),
    }
}

fn google_limit(network: &Network, reached: &Reached<'_>) -> Refusal {
    if !network.id.as_str().starts_with("youtube") {
        let message = "Quota exceeded for quota metric 'Requests' and limit 'Requests per minute' of the service.";
        return refusal(429, "rateLimitExceeded", "RESOURCE_EXHAUSTED", message);
    }
    match reached.owner {
        Owner::App if reached.is_daily() => {
            refusal(403, "quotaExceeded", "", "The request cannot be completed because you have exceeded your quota.")
        }
        Owner::App => refusal(403, "rateLimitExceeded", "", "Rate Limit Exceeded"),
        _ => refusal(403, "userRateLimitExceeded", "", "User Rate Limit Exceeded"),
    }
}

fn linkedin_limit(reached: &Reached<'_>) -> Refusal {
    let whose = if reached.owner == Owner::App { "APPLICATION" } else { "MEMBER" };
    let what = if reached.is_daily() { format!("{whose} DAY limit") } else { "limit".to_owned() };
    let message = format!("Resource level throttle {what} for calls to this resource is reached.");
    refusal(429, "101", "TOO_MANY_REQUESTS", &message)
}

/// What a reached limit means, in the catalogue's words.
pub(super) fn limit_class(reached: &Reached<'_>) -> ErrorClass {
    match reached.owner {
        _ if reached.publishes() => ErrorClass::PublishQuota,
        Owner::App | Owner::Address if *reached.window == Window::Budget => ErrorClass::QuotaExhaustedApp,
        Owner::App | Owner::Address => ErrorClass::RateLimitedApp,
        Owner::Profile => ErrorClass::RateLimitedResource,
        Owner::Token | Owner::Person | Owner::AppPerson => ErrorClass::RateLimitedToken,
    }
}

/// The answer of `network` to a call that it refuses for another reason than a limit.
pub(super) fn denied(network: &Network, denial: Denial) -> Refusal {
    match Family::of(network) {
        Family::Graph => graph_denial(denial),
        Family::X => x_denial(denial),
        Family::Google => google_denial(denial),
        Family::LinkedIn => linkedin_denial(denial),
        Family::Pinterest => pinterest_denial(denial),
        Family::TikTok => tiktok_denial(denial),
        Family::Bluesky => bluesky_denial(denial),
        Family::Mastodon => mastodon_denial(denial),
        Family::GitHub => github_denial(denial),
        Family::Reddit | Family::Tumblr => plain_denial(denial),
        Family::Other => other_denial(network, denial),
    }
}

fn graph_denial(denial: Denial) -> Refusal {
    match denial {
        Denial::TokenUnknown => refusal(400, "190", "", "Invalid OAuth access token - Cannot parse access token"),
        Denial::TokenExpired => {
            refusal(400, "190", "463", "Error validating access token: Session has expired. The current time is later.")
        }
        Denial::TokenRevoked => {
            let message = "Error validating access token: The user has not authorized application.";
            refusal(400, "190", "458", message)
        }
        Denial::PasswordChanged => refusal(400, "190", "460", GRAPH_SESSION),
        Denial::TokensReset => refusal(400, "190", "467", "The access token is invalid. A new one must be requested."),
        Denial::PersonLocked => {
            let message =
                "Error validating access token: You cannot access the app till you log in and follow the instructions.";
            refusal(400, "190", "459", message)
        }
        Denial::ScopeMissing => refusal(403, "10", "", "(#10) Application does not have permission for this action"),
        Denial::WrongKind => refusal(403, "1705", "", "(#1705) A page access token is required for this call"),
        Denial::NoSuchOperation => refusal(400, "100", "", "Unsupported get request. There is nothing at this path."),
    }
}

const GRAPH_SESSION: &str = "Error validating access token: The session has been invalidated because the user changed their \
    password or Facebook has changed the session for security reasons.";

fn x_denial(denial: Denial) -> Refusal {
    match denial {
        Denial::PersonLocked => {
            let message =
                "To protect our users, this account is temporarily locked. Please log in to unlock your account.";
            refusal(403, "326", "", message)
        }
        Denial::ScopeMissing => {
            let message = "You are not permitted to perform this action.";
            refusal(403, "Forbidden", "not-authorized-for-resource", message)
        }
        Denial::WrongKind => {
            let message = "Authenticating with this kind of token is forbidden for this endpoint.";
            refusal(403, "Unsupported Authentication", "unsupported-authentication", message)
        }
        Denial::NoSuchOperation => {
            refusal(404, "Not Found Error", "resource-not-found", "Could not find anything at this path.")
        }
        _ => refusal(401, "Unauthorized", "", "Unauthorized"),
    }
}

fn google_denial(denial: Denial) -> Refusal {
    match denial {
        Denial::ScopeMissing => {
            let message = "Request had insufficient authentication scopes.";
            refusal(403, "insufficientPermissions", "PERMISSION_DENIED", message)
        }
        Denial::WrongKind => refusal(403, "forbidden", "PERMISSION_DENIED", "The caller does not have permission"),
        Denial::NoSuchOperation => refusal(404, "notFound", "NOT_FOUND", "Requested entity was not found."),
        _ => refusal(401, "authError", "UNAUTHENTICATED", "Request had invalid authentication credentials."),
    }
}

fn linkedin_denial(denial: Denial) -> Refusal {
    match denial {
        Denial::TokenUnknown | Denial::TokensReset => {
            refusal(401, "65600", "INVALID_ACCESS_TOKEN", "Invalid access token")
        }
        Denial::TokenExpired => {
            refusal(401, "65602", "EXPIRED_ACCESS_TOKEN", "The token used in the request has expired")
        }
        Denial::TokenRevoked | Denial::PasswordChanged => {
            refusal(401, "65601", "REVOKED_ACCESS_TOKEN", "The token used in the request has been revoked by the user")
        }
        Denial::PersonLocked => refusal(401, "65608", "RESTRICTED_MEMBER", "The member is restricted"),
        Denial::ScopeMissing | Denial::WrongKind => {
            refusal(403, "100", "ACCESS_DENIED", "Not enough permissions to access this resource")
        }
        Denial::NoSuchOperation => refusal(404, "0", "RESOURCE_NOT_FOUND", "No virtual resource found"),
    }
}

fn pinterest_denial(denial: Denial) -> Refusal {
    match denial {
        Denial::ScopeMissing => refusal(401, "3", "", "Your token does not have the permission for this call."),
        Denial::WrongKind => refusal(403, "29", "", "You are not permitted to access that resource."),
        Denial::PersonLocked => refusal(403, "2626", "", "The account is under review."),
        Denial::NoSuchOperation => refusal(404, "40", "", "There is nothing at this path."),
        _ => refusal(401, "2", "", "Authentication failed."),
    }
}

fn tiktok_denial(denial: Denial) -> Refusal {
    match denial {
        Denial::ScopeMissing | Denial::WrongKind => {
            refusal(401, "scope_not_authorized", "", "The user did not authorize the scope required for this call.")
        }
        Denial::NoSuchOperation => refusal(400, "invalid_params", "", "There is nothing at this path."),
        _ => refusal(401, "access_token_invalid", "", "The access token is invalid or not found in the request."),
    }
}

fn bluesky_denial(denial: Denial) -> Refusal {
    match denial {
        Denial::TokenExpired => refusal(401, "invalid_token", "", "\"exp\" claim timestamp check failed"),
        Denial::PersonLocked => refusal(401, "AccountTakedown", "", "Account has been taken down"),
        Denial::ScopeMissing | Denial::WrongKind => {
            refusal(403, "insufficient_scope", "", "The token has not the scope for this call")
        }
        Denial::NoSuchOperation => refusal(404, "MethodNotImplemented", "", "There is nothing at this path"),
        _ => refusal(401, "invalid_token", "", "The token is not valid"),
    }
}

fn mastodon_denial(denial: Denial) -> Refusal {
    match denial {
        Denial::TokenExpired => refusal(401, "401", "", "The access token expired"),
        Denial::TokenRevoked => refusal(401, "401", "", "The access token was revoked"),
        Denial::PersonLocked => refusal(403, "403", "", "Your login is currently disabled"),
        Denial::ScopeMissing | Denial::WrongKind => {
            refusal(403, "403", "", "This action is outside the authorized scopes")
        }
        Denial::NoSuchOperation => refusal(404, "404", "", "Record not found"),
        _ => refusal(401, "401", "", "The access token is invalid"),
    }
}

fn github_denial(denial: Denial) -> Refusal {
    match denial {
        Denial::PersonLocked => refusal(403, "403", "", "Sorry. Your account was suspended."),
        Denial::ScopeMissing | Denial::WrongKind => refusal(403, "403", "", "Resource not accessible by integration"),
        Denial::NoSuchOperation => refusal(404, "404", "", "Not Found"),
        _ => refusal(401, "401", "", "Bad credentials"),
    }
}

fn plain_denial(denial: Denial) -> Refusal {
    match denial {
        Denial::ScopeMissing | Denial::WrongKind | Denial::PersonLocked => refusal(403, "403", "", "Forbidden"),
        Denial::NoSuchOperation => refusal(404, "404", "", "Not Found"),
        _ => refusal(401, "401", "", "Unauthorized"),
    }
}

fn other_denial(network: &Network, denial: Denial) -> Refusal {
    let (class, status, message) = match denial {
        Denial::TokenUnknown | Denial::TokensReset => (ErrorClass::TokenInvalid, 401, "Unauthorized"),
        Denial::TokenExpired => (ErrorClass::TokenExpired, 401, "Unauthorized"),
        Denial::TokenRevoked => (ErrorClass::TokenRevoked, 401, "Unauthorized"),
        Denial::PasswordChanged => (ErrorClass::PasswordChanged, 401, "Unauthorized"),
        Denial::PersonLocked => (ErrorClass::UserCheckpoint, 403, "Forbidden"),
        Denial::ScopeMissing => (ErrorClass::PermissionLost, 403, "Forbidden"),
        Denial::WrongKind => (ErrorClass::WrongTokenKind, 403, "Forbidden"),
        Denial::NoSuchOperation => (ErrorClass::BadRequest, 404, "Not Found"),
    };
    from_catalogue(network, class, status, message)
}

/// The first error rule of that class, filled up with the usual status and message.
fn from_catalogue(network: &Network, class: ErrorClass, status: u16, message: &str) -> Refusal {
    let Some(rule) = network.errors.iter().find(|rule| rule.class == class && rule.at == Endpoint::Api) else {
        return refusal(status, "", "", message);
    };
    Refusal {
        status: rule.http.unwrap_or(status),
        code: rule.code.clone().unwrap_or_default(),
        subcode: rule.subcode.clone(),
        message: rule.message.clone().unwrap_or_else(|| message.to_owned()),
    }
}
