//! A collector with one stream and one lease at a time.

use anyhow::{Context, bail};
use token_broker::grpc::pb;
use token_broker::grpc::pb::collect_request::Command;
use token_broker::grpc::pb::collect_response::Event;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::server::{Leases, NETWORK, OPERATION, TEAM};

/// One stream.
pub struct Holder {
    collector: usize,
    commands: mpsc::Sender<pb::CollectRequest>,
    messages: Streaming<pb::CollectResponse>,
    tag: u64,
    lease: String,
}

impl Holder {
    /// Opens a stream of the collector of that number.
    pub async fn open(collector: usize, mut client: Leases) -> anyhow::Result<Self> {
        let (commands, sent) = mpsc::channel(16);
        let messages = client.collect(ReceiverStream::new(sent)).await?.into_inner();
        Ok(Self { collector, commands, messages, tag: 0, lease: String::new() })
    }

    /// The collector's number, and the lease that it holds.
    pub fn lease(&self) -> (usize, String) {
        (self.collector, self.lease.clone())
    }

    /// Takes a lease on the token of a profile.
    pub async fn acquire(&mut self, profile: &str) -> anyhow::Result<()> {
        let ask = pb::AcquireLeaseRequest {
            team: TEAM.to_owned(),
            network: NETWORK.to_owned(),
            operation: OPERATION.to_owned(),
            calls: 10,
            purpose: pb::Purpose::CollectContent.into(),
            profile: profile.to_owned(),
            ..pb::AcquireLeaseRequest::default()
        };
        match self.ask(Command::Acquire(Box::new(ask))).await? {
            Event::Acquired(acquired) => self.lease = acquired.lease.context("a lease")?.name,
            other => bail!("no lease on {profile}: {other:?}"),
        }
        Ok(())
    }

    /// Waits until it is told that its lease can't be used, by a recall or by the standing of its leases.
    pub async fn recalled(&mut self) -> anyhow::Result<Instant> {
        loop {
            let ended = match self.next().await?.1 {
                Event::Recall(recall) => recall.lease == self.lease,
                Event::Resync(resync) => resync
                    .leases
                    .iter()
                    .any(|standing| standing.lease == self.lease && standing.verdict() != pb::Verdict::Keep),
                _ => false,
            };
            if ended {
                let arrived = Instant::now();
                self.give_back().await?;
                return Ok(arrived);
            }
        }
    }

    /// Acknowledges a recall, or ends the lease; twice is no error.
    pub async fn give_back(&mut self) -> anyhow::Result<()> {
        let ack = pb::CollectAck { lease: self.lease.clone(), ..pb::CollectAck::default() };
        match self.ask(Command::Ack(ack)).await? {
            Event::Released(_) => Ok(()),
            other => bail!("the lease does not go back: {other:?}"),
        }
    }

    async fn ask(&mut self, command: Command) -> anyhow::Result<Event> {
        self.tag += 1;
        self.commands.send(pb::CollectRequest { tag: self.tag, command: Some(command) }).await?;
        loop {
            let (answered, event) = self.next().await?;
            if answered == self.tag {
                return Ok(event);
            }
        }
    }

    async fn next(&mut self) -> anyhow::Result<(u64, Event)> {
        let message = self.messages.message().await?.context("the stream goes on")?;
        Ok((message.tag, message.event.context("a message says something")?))
    }
}
