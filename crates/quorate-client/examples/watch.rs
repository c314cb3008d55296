//! Prints what happens below a node, and how the session stands:
//! `cargo run --example watch -- localhost:2181 /path`.

use quorate_client::{Client, Error, EventKind};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut args = std::env::args().skip(1);
    let servers = args.next().unwrap_or_else(|| "localhost:2181".to_owned());
    let path = args.next().unwrap_or_else(|| "/".to_owned());
    let client = Client::connect(&servers).await?;
    let mut watch = client.watch_recursive(&path).await?;
    let mut status = client.subscribe();
    println!("watching {path}; create or change something below it");
    loop {
        tokio::select! {
            event = watch.next() => match event {
                Some(event) if matches!(event.kind, EventKind::Resumed | EventKind::Lagged) => {
                    println!("some changes were not told: read again");
                }
                Some(event) => println!("{:?} {}", event.kind, event.path),
                None => return Ok(()),
            },
            Ok(()) = status.changed() => {
                println!("session: {:?}", status.borrow_and_update().state);
            }
        }
    }
}
