//! The one writer: its own thread, one connection, one fsync for as many changes as are waiting.
//!
//! Changes come over a bounded channel, so a caller that goes away leaves no transaction behind. A group is one transaction;
//! every job in it has its own savepoint, changes of credit are applied together (`credit::apply_together`). Callers hear their answer
//! after the commit, never before.
//!
//! A failed fsync is final: the kernel may have dropped the dirty pages, so a second try could succeed without the data. The
//! whole group hears [`StoreError::NotDurable`] and nothing more is accepted. A full disk is not: the group is rolled back, and
//! the next one may succeed.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use super::connection::SqliteTx;
use super::{CommitStats, OnCommit, SqliteOptions};
use crate::base::clock::Clock;
use crate::store::StoreError;
use crate::store::audit::AuditKey;
use crate::store::credit::{self, Applied, CreditChange, CreditError};
use crate::store::sql::{Tx, first};

/// The most changes in one transaction.
const GROUP: usize = 512;

/// How long to wait for the callers of the last group to come again. They are about to: they have just been answered. Short
/// beside an fsync, and never waited for when one caller is alone.
const LINGER: Duration = Duration::from_millis(1);

/// The callers' side.
pub(super) struct Writer {
    commands: mpsc::Sender<Command>,
    accepts: Arc<AtomicBool>,
}

enum Command {
    Credit(Box<CreditChange>, oneshot::Sender<Result<(), CreditError>>),
    Job(Box<dyn Job>),
    EmptyLog(oneshot::Sender<Result<(), StoreError>>),
    Shut(oneshot::Sender<()>),
}

/// A piece of work whose answer type is its own affair.
trait Job: Send {
    /// Does the work in a savepoint. Its answer is for after the commit.
    fn run<'t>(self: Box<Self>, tx: &'t mut dyn Tx) -> BoxFuture<'t, Box<dyn Answer>>;
    /// Answers without having done the work.
    fn refuse(self: Box<Self>, error: StoreError);
}

/// An answer that waits for the commit.
trait Answer: Send {
    fn send(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Work<W, T, E> {
    work: W,
    to: oneshot::Sender<Result<T, E>>,
}

struct Held<T, E> {
    result: Result<T, E>,
    to: oneshot::Sender<Result<T, E>>,
}

impl<W, T, E> Job for Work<W, T, E>
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
    W: for<'t> FnOnce(&'t mut dyn Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
{
    fn run<'t>(self: Box<Self>, tx: &'t mut dyn Tx) -> BoxFuture<'t, Box<dyn Answer>> {
        Box::pin(async move {
            let result = in_savepoint(tx, self.work).await;
            Box::new(Held { result, to: self.to }) as Box<dyn Answer>
        })
    }

    fn refuse(self: Box<Self>, error: StoreError) {
        let _ = self.to.send(Err(error.into()));
    }
}

async fn in_savepoint<W, T, E>(tx: &mut dyn Tx, work: W) -> Result<T, E>
where
    E: From<StoreError>,
    W: for<'t> FnOnce(&'t mut dyn Tx) -> BoxFuture<'t, Result<T, E>>,
{
    tx.execute("SAVEPOINT job", vec![]).await?;
    let result = work(&mut *tx).await;
    if result.is_err() {
        tx.execute("ROLLBACK TO SAVEPOINT job", vec![]).await?;
    }
    tx.execute("RELEASE SAVEPOINT job", vec![]).await?;
    result
}

impl<T, E> Answer for Held<T, E>
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    fn send(self: Box<Self>, committed: Result<(), StoreError>) {
        let _ = self.to.send(committed.map_err(E::from).and(self.result));
    }
}

impl Writer {
    /// Starts the thread. It holds `lock` until its connection is closed.
    pub(super) fn start(
        connection: SqliteConnection,
        lock: File,
        options: SqliteOptions,
        clock: Arc<dyn Clock>,
        audit_key: Arc<OnceLock<AuditKey>>,
    ) -> Result<Self, StoreError> {
        let (commands, waiting) = mpsc::channel(options.queue.max(1));
        let accepts = Arc::new(AtomicBool::new(true));
        let owner = Owner {
            connection,
            audit_key,
            waiting,
            clock,
            on_commit: options.on_commit,
            accepts: Arc::clone(&accepts),
            stopped: None,
            last_group: 0,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|cause| StoreError::Unavailable(Arc::new(cause)))?;
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                let shut = runtime.block_on(owner.run());
                drop(lock);
                if let Some(shut) = shut {
                    let _ = shut.send(());
                }
            })
            .map_err(|cause| StoreError::Unavailable(Arc::new(cause)))?;
        Ok(Self { commands, accepts })
    }

    /// One that has ended: of a store that is only read.
    pub(super) fn ended() -> Self {
        Self { commands: mpsc::channel(1).0, accepts: Arc::default() }
    }

    /// Hands `work` over and waits for its answer.
    pub(super) async fn write<T, E, W>(&self, work: W) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        W: for<'t> FnOnce(&'t mut dyn Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
    {
        let (to, answer) = oneshot::channel();
        let job = Command::Job(Box::new(Work { work, to }));
        self.commands.send(job).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Hands a change of credit over and waits for its answer.
    pub(super) async fn change_credit(&self, change: CreditChange) -> Result<(), CreditError> {
        let (to, answer) = oneshot::channel();
        self.commands.send(Command::Credit(Box::new(change), to)).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Moves the whole log into the database and cuts it off. [`StoreError::Unavailable`] while somebody reads an older state.
    pub(super) async fn empty_log(&self) -> Result<(), StoreError> {
        let (to, answer) = oneshot::channel();
        self.commands.send(Command::EmptyLog(to)).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Whether changes are accepted.
    pub(super) fn accepts(&self) -> bool {
        self.accepts.load(Ordering::Relaxed) && !self.commands.is_closed()
    }

    /// Finishes what waits, then closes the connection and the lock.
    pub(super) async fn shut(&self) {
        let (done, finished) = oneshot::channel();
        if self.commands.send(Command::Shut(done)).await.is_ok() {
            let _ = finished.await;
        }
    }
}

/// The thread's side.
struct Owner {
    connection: SqliteConnection,
    audit_key: Arc<OnceLock<AuditKey>>,
    waiting: mpsc::Receiver<Command>,
    clock: Arc<dyn Clock>,
    on_commit: Option<OnCommit>,
    accepts: Arc<AtomicBool>,
    /// The error after which nothing more is accepted.
    stopped: Option<StoreError>,
    last_group: usize,
}

/// Somebody reads a state of the database that stands in its log only.
#[derive(Debug, thiserror::Error)]
#[error("the database's log can't be emptied while another program reads it")]
struct LogInUse;

/// What one transaction is made of.
#[derive(Default)]
struct Group {
    changes: Vec<CreditChange>,
    credit: Vec<oneshot::Sender<Result<(), CreditError>>>,
    jobs: Vec<Box<dyn Job>>,
    /// Who waits for the log to be emptied behind these changes.
    empty_log: Option<oneshot::Sender<Result<(), StoreError>>>,
    shut: Option<oneshot::Sender<()>>,
}

impl Group {
    fn len(&self) -> usize {
        self.changes.len() + self.jobs.len()
    }

    fn add(&mut self, command: Command) {
        match command {
            Command::Credit(change, to) => {
                self.changes.push(*change);
                self.credit.push(to);
            }
            Command::Job(job) => self.jobs.push(job),
            Command::EmptyLog(to) => self.empty_log = Some(to),
            Command::Shut(done) => self.shut = Some(done),
        }
    }

    fn is_closed(&self) -> bool {
        self.shut.is_some() || self.empty_log.is_some() || self.len() >= GROUP
    }
}

impl Owner {
    /// Serves until the store is closed or dropped. Returns whom to tell once the lock is gone.
    async fn run(mut self) -> Option<oneshot::Sender<()>> {
        let mut shut = None;
        while shut.is_none() {
            let Some(first) = self.waiting.recv().await else { break };
            let mut group = self.gather(first).await;
            shut = group.shut.take();
            let empty_log = group.empty_log.take();
            self.serve(group).await;
            if let Some(to) = empty_log {
                let _ = to.send(self.empty_log().await);
            }
        }
        self.waiting.close();
        if let Err(error) = self.connection.close().await {
            tracing::warn!(%error, "the database was not closed in order; it recovers when it is opened");
        }
        shut
    }

    async fn gather(&mut self, first: Command) -> Group {
        let mut group = Group::default();
        group.add(first);
        self.take_waiting(&mut group);
        if group.len() < self.last_group {
            let more = async {
                while group.len() < self.last_group && !group.is_closed() {
                    let Some(command) = self.waiting.recv().await else { break };
                    group.add(command);
                }
            };
            let _ = tokio::time::timeout(LINGER, more).await;
            self.take_waiting(&mut group);
        }
        group
    }

    fn take_waiting(&mut self, group: &mut Group) {
        while !group.is_closed()
            && let Ok(command) = self.waiting.try_recv()
        {
            group.add(command);
        }
    }

    async fn serve(&mut self, group: Group) {
        self.last_group = group.len();
        if group.len() == 0 {
            return;
        }
        if let Some(error) = &self.stopped {
            return refuse(group, error);
        }
        let (started, changes) = (self.clock.now(), group.len());
        let done = self.commit(group).await;
        if let Some(on_commit) = &self.on_commit {
            let took = self.clock.now().since(started);
            on_commit(CommitStats { changes, took, waiting: self.waiting.len(), durable: done.outcome.is_ok() });
        }
        done.answer();
    }

    /// One transaction for the group.
    async fn commit(&mut self, group: Group) -> Done {
        let Group { changes, credit, jobs, .. } = group;
        let begun = self.execute("BEGIN IMMEDIATE").await;
        let mut done =
            Done { outcome: begun, credit, results: Ok(Vec::new()), answers: Vec::new(), refused: Vec::new() };
        if done.outcome.is_err() {
            done.refused = jobs;
        } else {
            let mut tx = SqliteTx::new(&mut self.connection, &self.audit_key);
            (done.results, done.answers) = work(&mut tx, &changes, jobs).await;
            done.outcome = match tx.broken() {
                Some(error) => Err(error),
                None => self.execute("COMMIT").await,
            };
        }
        if let Err(error) = &done.outcome {
            // SQLite may have rolled back already, and then refuses this.
            let _ = self.execute("ROLLBACK").await;
            self.consider(error);
        }
        done
    }

    async fn execute(&mut self, sql: &'static str) -> Result<(), StoreError> {
        let mut tx = SqliteTx::new(&mut self.connection, &self.audit_key);
        tx.execute(sql, vec![]).await.map(drop)
    }

    /// <https://sqlite.org/pragma.html#pragma_wal_checkpoint>: its first column says whether somebody was in the way.
    async fn empty_log(&mut self) -> Result<(), StoreError> {
        let mut tx = SqliteTx::new(&mut self.connection, &self.audit_key);
        tx.rows("PRAGMA busy_timeout = 50", vec![]).await?;
        let done = first(&mut tx, "PRAGMA wal_checkpoint(TRUNCATE)", vec![]).await;
        tx.rows("PRAGMA busy_timeout = 5000", vec![]).await?;
        match done?.and_then(|mut row| row.int().ok()) {
            Some(0) => Ok(()),
            _ => Err(StoreError::Unavailable(Arc::new(LogInUse))),
        }
    }

    /// Stops accepting after an error that another try could hide.
    fn consider(&mut self, error: &StoreError) {
        if error.is_final() {
            tracing::error!(%error, "the store accepts no more changes");
            self.accepts.store(false, Ordering::Relaxed);
            self.stopped = Some(error.clone());
        }
    }
}

async fn work(
    tx: &mut SqliteTx<'_>,
    changes: &[CreditChange],
    jobs: Vec<Box<dyn Job>>,
) -> (Applied, Vec<Box<dyn Answer>>) {
    let results = if changes.is_empty() { Ok(Vec::new()) } else { change_credit(tx, changes).await };
    let mut answers = Vec::with_capacity(jobs.len());
    for job in jobs {
        answers.push(job.run(tx).await);
    }
    (results, answers)
}

/// Changes of credit come first in their transaction, so that it can begin anew where not all of them fit together.
async fn change_credit(tx: &mut SqliteTx<'_>, changes: &[CreditChange]) -> Applied {
    let mut applied = match credit::apply_together(tx, changes).await {
        Ok(Some(results)) => return Ok(results),
        Ok(None) => {
            begin_anew(tx).await?;
            credit::apply_one_by_one(tx, changes).await
        }
        Err(error) => Err(error),
    };
    if let Err(error) = &applied {
        begin_anew(tx).await?;
        if credit::is_of_one_change(error) {
            applied = credit::apply_alone(tx, changes).await;
        }
    }
    applied
}

async fn begin_anew(tx: &mut SqliteTx<'_>) -> Result<(), StoreError> {
    tx.execute("ROLLBACK", vec![]).await?;
    tx.execute("BEGIN IMMEDIATE", vec![]).await.map(drop)
}

/// A group after its transaction, with the answers that waited for it.
struct Done {
    outcome: Result<(), StoreError>,
    credit: Vec<oneshot::Sender<Result<(), CreditError>>>,
    results: Applied,
    answers: Vec<Box<dyn Answer>>,
    refused: Vec<Box<dyn Job>>,
}

impl Done {
    fn answer(self) {
        let failed = self.outcome.as_ref().err().or(self.results.as_ref().err()).cloned();
        let mut results = self.results.unwrap_or_default().into_iter();
        for to in self.credit {
            let result = match &failed {
                Some(error) => Err(error.clone().into()),
                None => results.next().unwrap_or(Err(StoreError::Closed.into())),
            };
            let _ = to.send(result);
        }
        for answer in self.answers {
            answer.send(self.outcome.clone());
        }
        for (job, error) in self.refused.into_iter().zip(failed.iter().cycle()) {
            job.refuse(error.clone());
        }
    }
}

fn refuse(group: Group, error: &StoreError) {
    for to in group.credit {
        let _ = to.send(Err(error.clone().into()));
    }
    for job in group.jobs {
        job.refuse(error.clone());
    }
}
