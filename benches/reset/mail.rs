//! A mail server that takes every mail, and keeps for whom it was and what it is about.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use token_broker::base::tasks::Tasks;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};

/// The mails that came.
#[derive(Clone, Default)]
pub struct Mails(Arc<Mutex<Vec<Mail>>>);

/// What is kept of a mail.
#[derive(Debug, Clone, Default)]
pub struct Mail {
    pub to: String,
    pub subject: String,
}

impl Mails {
    /// Takes mails on loopback from now on, until `tasks` stop. Returns where.
    pub async fn serve(tasks: &Tasks) -> anyhow::Result<(Self, SocketAddr)> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (mails, address) = (Self::default(), listener.local_addr()?);
        let (taking, stop) = (mails.clone(), tasks.clone());
        tasks.spawn("mail server", async move {
            loop {
                tokio::select! {
                    () = stop.stopped() => return,
                    accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                        taking.clone().attend(stream, &stop);
                    }
                }
            }
        });
        Ok((mails, address))
    }

    /// Those that came so far.
    pub fn taken(&self) -> Vec<Mail> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn attend(self, stream: TcpStream, tasks: &Tasks) {
        let stop = tasks.clone();
        tasks.spawn("mail", async move {
            tokio::select! {
                () = stop.stopped() => {}
                // A client that goes away has sent what it had.
                _ = self.take(BufStream::new(stream)) => {}
            }
        });
    }

    /// Speaks with one client until it goes (RFC 5321, without extensions).
    async fn take(&self, mut stream: BufStream<TcpStream>) -> std::io::Result<()> {
        let (mut line, mut mail, mut in_mail) = (String::new(), Mail::default(), false);
        let mut answer = "220 bench\r\n";
        loop {
            stream.write_all(answer.as_bytes()).await?;
            stream.flush().await?;
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let said = line.trim_end();
            let verb = said.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            answer = match verb.as_str() {
                _ if in_mail && said == "." => {
                    self.0.lock().unwrap_or_else(PoisonError::into_inner).push(std::mem::take(&mut mail));
                    in_mail = false;
                    "250 taken\r\n"
                }
                _ if in_mail => {
                    if let Some(subject) = said.strip_prefix("Subject: ") {
                        mail.subject = subject.to_owned();
                    }
                    ""
                }
                "RCPT" => {
                    mail.to = said.trim_start_matches("RCPT TO:").trim_matches(['<', '>']).to_owned();
                    "250 known\r\n"
                }
                "DATA" => {
                    in_mail = true;
                    "354 go on\r\n"
                }
                "QUIT" => "221 bye\r\n",
                _ => "250 fine\r\n",
            };
        }
    }
}
