//! How to connect: everything has a default but the servers.

use crate::driver::Driver;
use crate::handle::{Handle, Shared};
use crate::{Bytes, Client, Error, Identity, State, Status};
use client_core::{
    Config, ConnectString, ConnectStringError, FRAME_SIZE_MAX_DEFAULT, LINEARIZABLE_READS,
    READS_SCHEME,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Events that a watch holds for its consumer by default.
const WATCH_BUFFER_DEFAULT: usize = 1024;

/// How to connect.
///
/// ```
/// use quorate_client::Client;
/// use std::time::Duration;
///
/// let builder = Client::builder("zk1,zk2:2182,[::1]:2183/app")
///     .session_timeout(Duration::from_secs(10))
///     .request_timeout(Duration::from_secs(5))
///     .auth("digest", "user:password");
/// ```
#[must_use = "a builder does nothing before `connect` or `start`"]
#[derive(Clone)]
pub struct Builder {
    config: Result<Config, ConnectStringError>,
    connect_timeout: Option<Duration>,
    request_timeout: Option<Duration>,
    seed: Option<u64>,
    watch_buffer: usize,
    reply_size_max_bytes: usize,
    auths: Vec<(String, Bytes)>,
    linearizable_reads: bool,
}

impl Builder {
    pub(crate) fn new(servers: &str) -> Builder {
        Builder {
            config: servers.parse::<ConnectString>().map(Config::new),
            connect_timeout: None,
            request_timeout: None,
            seed: None,
            watch_buffer: WATCH_BUFFER_DEFAULT,
            reply_size_max_bytes: FRAME_SIZE_MAX_DEFAULT,
            auths: Vec::new(),
            linearizable_reads: false,
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        if let Ok(config) = &mut self.config {
            change(config);
        }
        self
    }

    /// The session time-out to ask for; the server has bounds of its own. Default 30 s.
    pub fn session_timeout(self, timeout: Duration) -> Self {
        self.with(|config| config.session_timeout = timeout)
    }

    /// How long [`Builder::connect`] waits for a session. Default: the session time-out.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// How long every call may take. Default: as long as the session lives.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = Some(timeout);
        self
    }

    /// Takes servers that have lost their quorum, for reads; writes are refused by them. The
    /// client looks for a better one meanwhile.
    pub fn read_only(self, allowed: bool) -> Self {
        self.with(|config| config.read_only = allowed)
    }

    /// Adds credentials that every connection starts with.
    pub fn auth(mut self, scheme: &str, credentials: impl Into<Bytes>) -> Self {
        self.auths.push((scheme.to_owned(), credentials.into()));
        self
    }

    /// Whether every read shows all that was acknowledged to anybody before it was sent, at the
    /// price of a round trip between the servers. Without it a server shows what it has, unless
    /// its configuration says otherwise. Only Quorate's servers can do that: every other ends the
    /// session with [`Error::LinearizableReadsRefused`].
    pub fn linearizable_reads(mut self, wanted: bool) -> Self {
        self.linearizable_reads = wanted;
        self
    }

    /// Renews the session of another client, which loses it.
    pub fn resume(self, identity: Identity) -> Self {
        self.with(|config| config.resume = identity)
    }

    /// How often a read is sent before a lost connection fails it. Default 5.
    pub fn read_attempts(self, attempts: u32) -> Self {
        self.with(|config| config.read_attempts = attempts)
    }

    /// Most requests outstanding before calls fail with [`Error::Overloaded`]. Default 65536.
    pub fn outstanding_max(self, requests: usize) -> Self {
        self.with(|config| config.outstanding_max = requests)
    }

    /// Most events that a watch holds for its consumer. Default 1024.
    pub fn watch_buffer(mut self, events: usize) -> Self {
        self.watch_buffer = events.max(1);
        self
    }

    /// The servers' `jute.maxbuffer` in bytes, for requests and for replies. Default 1048575.
    pub fn frame_size_max(mut self, bytes: usize) -> Self {
        self.reply_size_max_bytes = bytes;
        self.with(|config| config.frame_size_max_bytes = bytes)
    }

    /// Gives the session up when no server was heard of for this long. Default: only a server says
    /// that a session is over.
    pub fn expire_unheard_after(self, limit: Duration) -> Self {
        self.with(|config| config.expire_unheard_after = Some(limit))
    }

    /// Seeds the order of the servers and the jitter of waits. Default: from the system.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Starts a client without waiting for its session: calls wait in its queue. To be called
    /// within a tokio runtime.
    ///
    /// # Errors
    /// [`Error::ConnectString`], [`Error::NoEntropy`].
    pub fn start(self) -> Result<Client, Error> {
        let mut config = self.config?;
        config.seed = match self.seed {
            Some(seed) => seed,
            None => entropy()?,
        };
        let status = Status {
            state: State::Connecting,
            identity: config.resume,
            session_timeout: config.session_timeout,
        };
        let (publisher, status) = watch::channel(status);
        let shared = Arc::new(Shared::new(config.outstanding_max, self.watch_buffer, status));
        let (commands, queue) = mpsc::unbounded_channel();
        let driver = Driver::new(config, self.reply_size_max_bytes, publisher, Arc::clone(&shared));
        tokio::spawn(driver.run(queue));
        let client =
            Client::new(Handle { commands, shared, request_timeout: self.request_timeout });
        if self.linearizable_reads {
            client.offer_auth(READS_SCHEME.to_owned(), Bytes::from(LINEARIZABLE_READS));
        }
        for (scheme, credentials) in self.auths {
            client.offer_auth(scheme, credentials);
        }
        Ok(client)
    }

    /// Starts a client and waits for its session.
    ///
    /// # Errors
    /// [`Error::ConnectString`], [`Error::Unreachable`]; [`Error::SessionExpired`] for a session
    /// that cannot be resumed, [`Error::AuthFailed`], [`Error::LinearizableReadsRefused`].
    pub async fn connect(self) -> Result<Client, Error> {
        let session_timeout = self.config.as_ref().map(|config| config.session_timeout);
        let timeout = self.connect_timeout.or(session_timeout.ok()).unwrap_or_default();
        let linearizable_reads = self.linearizable_reads;
        let client = self.start()?;
        let mut status = client.subscribe();
        let settled = status.wait_for(|s| s.is_connected() || s.state.is_final());
        match tokio::time::timeout(timeout, settled).await {
            Ok(Ok(status)) if status.is_connected() => {}
            // What was refused is told by the wish below.
            Ok(Ok(status)) if linearizable_reads && status.state == State::AuthFailed => {}
            Ok(Ok(status)) => return Err(status.final_error()),
            Ok(Err(_)) => return Err(Error::Closed),
            Err(_) => return Err(Error::Unreachable),
        }
        if linearizable_reads {
            let wish = client.add_auth(READS_SCHEME, LINEARIZABLE_READS);
            tokio::time::timeout(timeout, wish).await.map_err(|_| Error::Unreachable)??;
        }
        Ok(client)
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Credentials stay out of logs.
        f.debug_struct("Builder").field("config", &self.config).finish_non_exhaustive()
    }
}

fn entropy() -> Result<u64, Error> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| Error::NoEntropy(error.to_string()))?;
    Ok(u64::from_le_bytes(bytes))
}
