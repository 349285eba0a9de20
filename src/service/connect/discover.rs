//! Where an account lives, at networks whose accounts live on servers of their own: the token reply names the account, its identity document the
//! server, and the server says who grants its tokens. Who issued the token must be that one, else anybody could issue tokens in the name of any
//! account (AT Protocol, "Identity Authentication").

use crate::domain::connection::Problem;
use crate::domain::networks::{Network, OAuth, did_document_url, issuer_in, resource_url, server_in};
use crate::outbound::http::NetworkRequest;
use crate::service::Broker;

impl Broker {
    /// The server of the account `subject`, if the tokens that `oauth` describes may be issued for it.
    pub(super) async fn server_of(
        &self,
        network: &Network,
        oauth: &OAuth,
        directory: &str,
        subject: &str,
    ) -> Result<String, Problem> {
        let name = &network.display_name;
        let account = || shown(subject);
        let document_url = did_document_url(directory, subject)
            .ok_or_else(|| Problem::NoIdentifier { network: name.clone(), account: account() })?;
        let document = self.read_public(network, directory, &document_url).await?;
        let server =
            server_in(&document, subject, &network.api_base).ok_or_else(|| Problem::NoServer { account: account() })?;
        let resource = resource_url(&server).ok_or_else(|| silent(name, "its address is none"))?;
        let metadata = self.read_public(network, &network.api_base, &resource).await?;
        let issuer = issuer_in(&metadata).ok_or_else(|| Problem::NoGranter { server: server.clone() })?;
        match oauth.issuer.as_deref() == Some(issuer.trim_end_matches('/')) {
            true => Ok(server),
            false => Err(Problem::OtherGranter { network: name.clone(), account: account(), server, issuer }),
        }
    }

    async fn read_public(&self, network: &Network, known: &str, url: &str) -> Result<Vec<u8>, Problem> {
        let name = &network.display_name;
        // A template is no address; its host is.
        let known = known.replace(['{', '}'], "");
        let request = NetworkRequest::read_public(&known, url).ok_or_else(|| silent(name, "its address is none"))?;
        let answer = self.renewals.network().ask(&request).await.map_err(|error| silent(name, &error.to_string()))?;
        match answer.status {
            200 => Ok(answer.body.to_vec()),
            status => Err(silent(name, &format!("the answer was {status}"))),
        }
    }
}

/// An identifier that is foreign text.
fn shown(subject: &str) -> String {
    subject.chars().filter(|c| !c.is_control()).take(100).collect()
}

fn silent(name: &str, why: &str) -> Problem {
    Problem::ServerSilent { network: name.to_owned(), why: why.to_owned() }
}
