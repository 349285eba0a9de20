//! Admin keys on the terminal: the first one of a new store, and a further one where all were lost.

use std::io::Write;
use std::sync::Arc;

use anyhow::Context;

use super::open::{Opened, close, open};
use crate::base::clock::SystemClock;
use crate::base::secret::Secret;
use crate::config::Config;

/// Makes a further admin key in a store on which no broker runs, and shows it.
pub async fn make_admin_key(config: Config) -> anyhow::Result<()> {
    anyhow::ensure!(
        config.store.dir.join("broker.db").is_file(),
        "store.dir: there is no store at '{}'; check the path, or start a broker there with `token-broker serve`",
        config.store.dir.display()
    );
    let drain = config.grpc.drain;
    let Opened { broker, tasks, first_key } = open(config, Arc::new(SystemClock::start())).await?;
    let key = match first_key {
        Some(key) => key,
        None => broker.restore_admin().await?,
    };
    let shown = show_admin_key("Admin key", &key);
    close(broker, tasks, drain).await?;
    shown
}

/// Shows a key on the terminal, and never in the log.
pub(super) fn show_admin_key(title: &str, key: &Secret) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    let shown = writeln!(
        out,
        "{title} (shown once, keep it safe):\n\n  {}\n\n\
         Put it into TOKEN_BROKER_KEY, or into ~/.config/token-broker/key (chmod 600). Should it get lost:\n\
         `token-broker admin-key` makes another while the broker is stopped.\n\n\
         Try:  token-broker team create acme\n",
        key.expose()
    );
    shown.and_then(|()| out.flush()).context("the admin key can't be shown; make another with `token-broker admin-key`")
}
