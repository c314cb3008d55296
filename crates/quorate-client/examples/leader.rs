//! Elects one of several processes without a lock: each stands with an ephemeral sequential node, the
//! lowest leads, everyone else watches the one before.
//! `cargo run --example leader -- localhost:2181 name`, several times.

use quorate_client::{Client, Error, Mode, State};

const ELECTION: &str = "/election";

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut args = std::env::args().skip(1);
    let servers = args.next().unwrap_or_else(|| "localhost:2181".to_owned());
    let name = args.next().unwrap_or_else(|| std::process::id().to_string());
    let client = Client::connect(&servers).await?;
    match client.create(ELECTION, "").mode(Mode::Container).await {
        Ok(_) | Err(Error::NodeExists) => {}
        Err(error) => return Err(error),
    }
    let me = stand(&client, &name).await?;
    println!("{name} stands as {me}");
    while let Some(before) = before(&client, &me).await? {
        println!("{name} follows; before it is {before}");
        let (stat, mut watch) = client.exists_watched(&format!("{ELECTION}/{before}")).await?;
        if stat.is_some() {
            watch.next().await;
        }
    }
    println!("{name} leads");
    // Without a connection nobody knows whether the session lives: a leader must stop acting.
    let mut status = client.subscribe();
    let lost = status.wait_for(|s| s.state == State::Suspended || s.state.is_final()).await;
    println!("{name} leads no more: {:?}", lost.map(|status| status.state));
    Ok(())
}

/// Creates our node, exactly once even if an answer is lost: the name in it tells.
async fn stand(client: &Client, name: &str) -> Result<String, Error> {
    loop {
        let path = format!("{ELECTION}/{name}-");
        let create = client.create(&path, name.to_owned()).mode(Mode::EphemeralSequential);
        let full = match create.await {
            Ok(created) => created.path,
            Err(error) if error.outcome_unknown() => {
                match client.ephemerals(&path).await?.into_iter().next() {
                    Some(path) => path,
                    None => continue,
                }
            }
            Err(error) => return Err(error),
        };
        return Ok(full.rsplit('/').next().unwrap_or_default().to_owned());
    }
}

/// Who stands right before `me`; none if `me` is the lowest.
async fn before(client: &Client, me: &str) -> Result<Option<String>, Error> {
    let number = |name: &str| name.rsplit('-').next().map(str::to_owned);
    let mut standing = client.children(ELECTION).await?;
    standing.sort_by_key(|name| number(name));
    let at = standing.iter().position(|name| name == me).ok_or(Error::SessionExpired)?;
    Ok(at.checked_sub(1).map(|i| standing[i].clone()))
}
