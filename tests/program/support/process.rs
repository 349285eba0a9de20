//! The broker's process: started, watched, stopped or killed, and never left behind.

use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::programs::BINARY;

/// Far longer than anything here takes, even on a machine with much else to do.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// The line of the log that says where the broker listens.
const SERVES: &str = "the broker serves";

/// What a process wrote so far, and how many of its pipes are still open.
#[derive(Default)]
struct Written {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    open: usize,
}

/// Both outputs of a process, read by threads of their own.
#[derive(Clone, Default)]
struct Output(Arc<(Mutex<Written>, Condvar)>);

impl Output {
    fn of(child: &mut Child) -> Self {
        let output = Self::default();
        output.with(|written| written.open = 2);
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        output.read(stdout, |written| &mut written.stdout);
        output.read(stderr, |written| &mut written.stderr);
        output
    }

    fn with<T>(&self, work: impl FnOnce(&mut Written) -> T) -> T {
        let done = work(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
        done
    }

    fn read(&self, mut pipe: impl Read + Send + 'static, part: fn(&mut Written) -> &mut Vec<u8>) {
        let output = self.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            while let Ok(read @ 1..) = pipe.read(&mut buffer) {
                output.with(|written| part(written).extend_from_slice(&buffer[..read]));
            }
            output.with(|written| written.open -= 1);
        });
    }

    /// Waits until `enough` holds or both pipes are closed. Returns whether it was in time.
    fn wait(&self, enough: impl Fn(&Written) -> bool) -> bool {
        let (written, news) = (self.0.0.lock().unwrap(), &self.0.1);
        let waiting = |written: &mut Written| written.open > 0 && !enough(written);
        !news.wait_timeout_while(written, PATIENCE, waiting).unwrap().1.timed_out()
    }
}

/// A process that has ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Both outputs.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// Runs a program to its end, which must come. `input` is all that it reads.
pub fn run_bounded(command: &mut Command, input: &[u8]) -> Ended {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?} can't be started: {error}"));
    let output = Output::of(&mut child);
    let mut stdin = child.stdin.take().unwrap();
    // A program that has ended already reads nothing.
    let _ = std::io::Write::write_all(&mut stdin, input);
    drop(stdin);
    let mut process = Process { child, output };
    process.end().unwrap_or_else(|| panic!("{command:?} does not end"))
}

/// Whether no process has this id any more. One that only waits to be asked for its status has ended.
pub fn has_ended(pid: u32) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(text) => text.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')),
        Err(_) => true,
    }
}

struct Process {
    child: Child,
    output: Output,
}

impl Process {
    /// Waits for the end of the process; none if it does not come.
    fn end(&mut self) -> Option<Ended> {
        if !self.output.wait(|_| false) {
            return None;
        }
        let status = self.child.wait().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = self.output.with(|written| (text(&written.stdout), text(&written.stderr)));
        Some(Ended { status, stdout, stderr })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process that says in the first line of its output that it is ready. Dropping it kills it.
pub struct Ready {
    process: Process,
    /// That line.
    pub line: String,
}

impl Ready {
    /// Waits for the `nth` line that it says, from 0; the first is [`Ready::line`].
    pub fn said(&self, nth: usize) -> String {
        let line = |written: &Written| {
            let text = String::from_utf8_lossy(&written.stdout).into_owned();
            let whole = text.matches('\n').count();
            text.lines().nth(nth).filter(|_| nth < whole).map(str::to_owned)
        };
        assert!(self.process.output.wait(|written| line(written).is_some()), "it says nothing more");
        self.process.output.with(|written| line(written)).expect("it ended")
    }

    /// Starts it, and waits for the line.
    pub fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = Output::of(&mut child);
        let mut process = Process { child, output };
        assert!(process.output.wait(|written| written.stdout.contains(&b'\n')), "{command:?} says nothing");
        let said = process.output.with(|written| String::from_utf8_lossy(&written.stdout).into_owned());
        match said.split_once('\n') {
            Some((line, _)) => Self { line: line.to_owned(), process },
            None => panic!("{command:?} has ended: {:?}", process.end()),
        }
    }
}

/// How a broker is started.
pub struct Launch {
    dir: PathBuf,
    env: Vec<(String, String)>,
    arguments: Vec<String>,
    injected: Vec<String>,
    only_on: Option<PathBuf>,
    /// What a shell does before it becomes the broker.
    first: Option<&'static str>,
}

impl Launch {
    /// On a data directory, with JSON lines as its log.
    pub fn new(dir: &Path) -> Self {
        let (env, arguments, injected) = (Vec::new(), Vec::new(), Vec::new());
        let launch = Self { dir: dir.to_owned(), env, arguments, injected, only_on: None, first: None };
        launch.set("LOG__FORMAT", "json")
    }

    /// A setting, by its name in the environment without the prefix.
    pub fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.env.push((format!("TOKEN_BROKER__{name}"), value.to_string()));
        self
    }

    /// A variable of the environment.
    #[cfg(all(feature = "vault-transit", feature = "aws-kms"))]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A further argument.
    pub fn arg(mut self, argument: impl ToString) -> Self {
        self.arguments.push(argument.to_string());
        self
    }

    /// Kills the process when one of its threads is about to make its `number`th write durable.
    pub fn kill_at_fsync(mut self, number: u32) -> Self {
        self.injected = vec![format!("fsync,fdatasync:signal=KILL:when={number}")];
        self
    }

    /// Lets system calls on one file fail, as strace's `inject` describes it.
    pub fn failing(mut self, injected: &[&str], file: &Path) -> Self {
        self.injected = injected.iter().map(|one| (*one).to_owned()).collect();
        self.only_on = Some(file.to_owned());
        self
    }

    /// Lets a shell do something to itself before it becomes the broker, in the data directory.
    pub fn after(mut self, script: &'static str) -> Self {
        self.first = Some(script);
        self
    }

    fn command(&self) -> Command {
        let mut command = match self.first {
            Some(script) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("{script}; exec \"$0\" \"$@\""), BINARY]).current_dir(&self.dir);
                shell
            }
            None if self.injected.is_empty() => Command::new(BINARY),
            None => self.traced(),
        };
        command.arg("serve").arg("--data-dir").arg(&self.dir).args(["--listen", "127.0.0.1:0"]);
        command.args(["--http-listen", "127.0.0.1:0"]).args(&self.arguments);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn traced(&self) -> Command {
        let mut strace = super::tool("strace");
        // -D: the broker, not its tracer, is our child.
        strace.args(["-D", "-f", "-qq", "-o", "/dev/null"]);
        for injected in &self.injected {
            let calls = injected.split(':').next().unwrap_or_default();
            strace.arg("-e").arg(format!("trace={calls}")).arg("-e").arg(format!("inject={injected}"));
        }
        if let Some(file) = &self.only_on {
            strace.arg("-P").arg(file);
        }
        strace.arg(BINARY);
        strace
    }

    /// Starts the broker and waits until it serves; what it said if it ended instead.
    pub fn try_start(&self) -> Result<Broker, Ended> {
        let mut child = self.command().spawn().unwrap();
        let output = Output::of(&mut child);
        let mut process = Process { child, output };
        let serves = |written: &Written| String::from_utf8_lossy(&written.stderr).contains(SERVES);
        assert!(process.output.wait(serves), "the broker neither serves nor ends");
        let Some((grpc, http)) = process.output.with(|written| addresses(&written.stderr)) else {
            return Err(process.end().unwrap());
        };
        Ok(Broker { process: Some(process), grpc, http })
    }

    /// Starts the broker, which must serve.
    pub fn start(&self) -> Broker {
        self.try_start().unwrap_or_else(|ended| panic!("the broker did not start: {ended:#?}"))
    }
}

/// What stands in the line that says where the broker listens, as JSON or as text.
fn addresses(stderr: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let log = String::from_utf8_lossy(stderr);
    let line = log.lines().find(|line| line.contains(SERVES))?;
    let address = |name: &str| {
        let (_, rest) = line.split_once(&format!("\"{name}\":\"")).or_else(|| line.split_once(&format!("{name}=")))?;
        rest.split(['"', ' ']).next()?.parse().ok()
    };
    Some((address("grpc")?, address("http")?))
}

/// A broker that serves. Dropping it kills it.
pub struct Broker {
    process: Option<Process>,
    /// Where gRPC is served.
    pub grpc: SocketAddr,
    /// Where HTTP is served.
    pub http: SocketAddr,
}

impl Broker {
    fn process(&self) -> &Process {
        self.process.as_ref().expect("it is taken when the broker ends only")
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process().child.id()
    }

    /// Its gRPC address as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.grpc)
    }

    /// Its HTTP address as a URL.
    pub fn http_url(&self) -> String {
        format!("http://{}", self.http)
    }

    /// The admin key that a fresh store is given, as it was printed.
    pub fn first_key(&self) -> String {
        let key = |written: &Written| {
            let text = String::from_utf8_lossy(&written.stdout).into_owned();
            let line = text.lines().map(str::trim).find(|line| line.starts_with("tbk_"))?;
            text.contains("Try:").then(|| line.to_owned())
        };
        let output = &self.process().output;
        assert!(output.wait(|written| key(written).is_some()), "no key was printed");
        output.with(|written| key(written)).expect("the broker printed no key: was the store fresh?")
    }

    /// The log so far.
    pub fn log(&self) -> String {
        self.process().output.with(|written| String::from_utf8_lossy(&written.stderr).into_owned())
    }

    /// Waits until the log says that.
    pub fn wait_for_log(&self, text: &str) {
        let said = |written: &Written| String::from_utf8_lossy(&written.stderr).contains(text);
        assert!(
            self.process().output.wait(said) && self.log().contains(text),
            "the log does not say '{text}': {}",
            self.log()
        );
    }

    /// Asks it to stop. The standard library can only kill; a shell can ask.
    pub fn ask_to_stop(&self) {
        let asked = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.pid())]).status().unwrap();
        assert!(asked.success(), "the broker has gone already: {}", self.log());
    }

    /// Asks it to stop, and waits for its end.
    pub fn stop(mut self) -> Ended {
        self.ask_to_stop();
        self.end()
    }

    /// Kills it as a loss of power would.
    pub fn kill(mut self) -> Ended {
        let mut process = self.process.take().expect("it is taken when the broker ends only");
        process.child.kill().unwrap();
        process.end().expect("a killed process ends")
    }

    /// Waits for its end, which must come by itself.
    pub fn end(&mut self) -> Ended {
        let pid = self.pid();
        let ended = self.process.take().and_then(|mut process| process.end());
        let ended = ended.unwrap_or_else(|| panic!("the broker does not end"));
        assert!(has_ended(pid));
        ended
    }
}
