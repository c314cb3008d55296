//! A TCP proxy that cuts connections, refuses them, or holds the answers back.

use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A proxy on a loopback port of its own. It ends when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    control: Arc<Control>,
    accepting: tokio::task::JoinHandle<()>,
}

struct Control {
    /// Counts the cuts: a connection lives until the next.
    cuts: watch::Sender<u64>,
    /// Whether new connections are taken.
    open: watch::Sender<bool>,
    /// Whether answers pass.
    answers: watch::Sender<bool>,
}

impl Proxy {
    pub async fn start(target: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let control = Arc::new(Control {
            cuts: watch::Sender::new(0),
            open: watch::Sender::new(true),
            answers: watch::Sender::new(true),
        });
        let accepting = tokio::spawn(accept(listener, target.to_owned(), Arc::clone(&control)));
        Proxy { address, control, accepting }
    }

    /// Where clients connect to.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Ends all connections.
    pub fn cut(&self) {
        self.control.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Takes new connections, or closes them at once.
    pub fn set_open(&self, open: bool) {
        self.control.open.send_replace(open);
    }

    /// Lets answers pass, or holds them back until a cut loses them.
    pub fn set_answers(&self, pass: bool) {
        self.control.answers.send_replace(pass);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, target: String, control: Arc<Control>) {
    while let Ok((client, _)) = listener.accept().await {
        let (target, control) = (target.clone(), Arc::clone(&control));
        let mut cuts = control.cuts.subscribe();
        if !*control.open.borrow() {
            continue;
        }
        tokio::spawn(async move {
            let Ok(server) = TcpStream::connect(&target).await else { return };
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            tokio::select! {
                _ = cuts.changed() => {}
                () = copy(from_client, to_server, None) => {}
                () = copy(from_server, to_client, Some(control.answers.subscribe())) => {}
            }
        });
    }
}

async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut gate: Option<watch::Receiver<bool>>,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(size @ 1..) = from.read(&mut buffer).await {
        if let Some(gate) = &mut gate
            && gate.wait_for(|pass| *pass).await.is_err()
        {
            return;
        }
        if to.write_all(&buffer[..size]).await.is_err() {
            return;
        }
    }
}
