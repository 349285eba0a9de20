//! Settings that are each in order and do not go together.

use url::{Host, Url};

use super::errors::Survey;
use super::{ClientCertificates, Config, MailSecurity};

/// Notes every combination that is unsafe or makes no sense.
pub(super) fn check(config: &Config, survey: &mut Survey) {
    check_grpc(config, survey);
    check_credit(config, survey);
    check_load(config, survey);
    check_webhooks(config, survey);
    check_mail(config, survey);
    check_vault(config, survey);
    check_sign_in(config, survey);
}

fn check_sign_in(config: &Config, survey: &mut Survey) {
    let sign_in = &config.sign_in;
    if !sign_in.is_dear_enough() {
        survey.wrong(
            "sign_in.password_passes",
            "makes passwords cheap to guess with that little memory; OWASP asks of argon2id at least 46MiB with 1 pass, 19MiB with 2, 12MiB with 3, \
             9MiB with 4 or 7MiB with 5",
        );
    }
    if sign_in.idle > sign_in.whole {
        survey.wrong("sign_in.idle", "is longer than sign_in.whole, so it would never end a session; shorten it");
    }
    let Some(oidc) = &sign_in.oidc else { return };
    let issuer = oidc.issuer.url();
    if issuer.scheme() != "https" && !(issuer.scheme() == "http" && is_loopback(issuer)) {
        survey.wrong(
            "sign_in.oidc.issuer",
            "must begin with https:// (http:// only to this machine): members are known by it",
        );
    }
}

fn check_vault(config: &Config, survey: &mut Survey) {
    let vault = &config.vault;
    if vault.key.is_some() && vault.key_file.is_some() {
        survey.wrong("vault.key", "there can be one sealing key only; remove it, or vault.key_file");
    }
    if vault.key.is_none() && vault.next_key.is_some() {
        survey.wrong("vault.next_key", "the next key is needed only where the present one is in vault.key; remove it");
    }
    if vault.transit.is_some() && vault.aws_kms.is_some() {
        survey.wrong(
            "vault.aws_kms.key_id",
            "one service only can wrap the sealing key; remove it, or vault.transit.address",
        );
    }
    let transit = vault.transit.as_ref().map(|transit| ("vault.transit.address", &transit.address));
    let endpoint = vault.aws_kms.as_ref().and_then(|kms| Some(("vault.aws_kms.endpoint", kms.endpoint.as_ref()?)));
    for (setting, url) in transit.into_iter().chain(endpoint) {
        if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(url)) {
            survey.wrong(
                setting,
                "must begin with https:// (http:// only to this machine): the sealing key travels there",
            );
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn check_grpc(config: &Config, survey: &mut Survey) {
    let grpc = &config.grpc;
    let loopback = grpc.listen.ip().is_loopback();
    if !loopback && !grpc.has_tls() && !grpc.insecure_plaintext {
        survey.wrong(
            "grpc.listen",
            "tokens would travel unencrypted beyond this machine; set grpc.tls_cert and grpc.tls_key, or grpc.insecure_plaintext = true if \
             something in front of the broker encrypts",
        );
    }
    match (&grpc.tls.cert, &grpc.tls.key) {
        (Some(_), None) => survey.wrong("grpc.tls_cert", "a certificate needs its private key; set grpc.tls_key"),
        (None, Some(_)) => survey.wrong("grpc.tls_key", "a private key needs its certificate; set grpc.tls_cert"),
        _ => {}
    }
    if grpc.tls.client_ca.is_some() && !grpc.has_tls() {
        survey.wrong("grpc.client_ca", "client certificates need TLS; set grpc.tls_cert and grpc.tls_key");
    }
    if grpc.tls.client_ca.is_none() && grpc.tls.client_certificates == ClientCertificates::Optional {
        survey
            .wrong("grpc.client_certificates", "without an authority no certificate is looked at; set grpc.client_ca");
    }
    if grpc.limits.connections_per_peer > grpc.limits.connections {
        survey.wrong("grpc.limits.connections_per_peer", "one peer can't have more connections than all; lower it");
    }
    if grpc.listen == config.http.listen && grpc.listen.port() != 0 {
        survey.wrong("http.listen", "is the address of grpc.listen; take another port");
    }
}

fn check_credit(config: &Config, survey: &mut Survey) {
    let credit = &config.credit;
    if credit.lease_ttl > credit.lease_ttl_max {
        survey.wrong("credit.lease_ttl", "is longer than credit.lease_ttl_max; shorten it or raise the maximum");
    }
    if credit.window_guard >= credit.lease_ttl {
        survey.wrong("credit.window_guard", "leaves no time of a lease (credit.lease_ttl); shorten it");
    }
}

fn check_load(config: &Config, survey: &mut Survey) {
    let load = &config.load;
    if load.clear_at >= load.open_at {
        survey.wrong("load.clear_at", "must be below load.open_at, or the alert would flap; lower it");
    }
    if load.target >= load.open_at {
        survey.wrong("load.target", "must be below load.open_at, or the advice would not clear the alert; lower it");
    }
}

fn check_webhooks(config: &Config, survey: &mut Survey) {
    let webhooks = &config.alerts.webhooks;
    let repeated = |(at, webhook)| webhooks.iter().take(at).any(|earlier| same(earlier, webhook));
    for at in webhooks.iter().enumerate().filter(|entry| repeated(*entry)).map(|(at, _)| at) {
        survey.wrong(&format!("alerts.webhooks.{at}.url"), "is the URL of an earlier webhook; remove one of them");
    }
}

fn check_mail(config: &Config, survey: &mut Survey) {
    let mail = &config.mail;
    if !mail.is_on() {
        if !config.alerts.mails.is_empty() {
            survey.wrong("alerts.mails", "nothing sends mails; set mail.host and mail.from, or remove it");
        }
        return;
    }
    if mail.from.is_empty() {
        survey.wrong("mail.from", "mails need a sender; set it to an address such as \"tokens@example.com\"");
    }
    if mail.username.is_empty() != mail.password_file.is_none() {
        survey.wrong("mail.password_file", "a user needs a password and a password a user; set both, or neither");
    }
    if mail.security == MailSecurity::Plain && !mail.is_local() {
        survey
            .wrong("mail.security", "mails would travel unencrypted beyond this machine; set \"starttls\" or \"tls\"");
    }
    if mail.security == MailSecurity::Plain && mail.ca_file.is_some() {
        survey.wrong("mail.ca_file", "without TLS no certificate is looked at; remove it, or set mail.security");
    }
}

fn same(one: &super::Webhook, other: &super::Webhook) -> bool {
    one.url == other.url
}
