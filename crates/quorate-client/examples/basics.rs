//! Creates, reads, writes and deletes: `cargo run --example basics -- localhost:2181`.

use quorate_client::{Client, Error, Mode, Transaction};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let servers = std::env::args().nth(1).unwrap_or_else(|| "localhost:2181".to_owned());
    let client = Client::connect(&servers).await?;

    match client.create("/basics", "").await {
        Ok(_) | Err(Error::NodeExists) => {}
        Err(error) => return Err(error),
    }
    let node = client.create("/basics/item-", "first").mode(Mode::EphemeralSequential).await?;
    println!("created {}", node.path);

    // Three requests on their way at once; the answers come in this order.
    let (read, write, again) =
        (client.get(&node.path), client.set(&node.path, "second", Some(0)), client.get(&node.path));
    println!("{:?}", read.await?.0);
    println!("version {}", write.await?.version);
    println!("{:?}", again.await?.0);

    // Somebody who has not seen the change cannot overwrite it.
    match client.set(&node.path, "third", Some(0)).await {
        Err(Error::BadVersion) => println!("the version is another by now"),
        other => println!("{other:?}"),
    }

    let transaction = Transaction::new()
        .check(&node.path, Some(1))
        .create("/basics/log-", "done", Mode::EphemeralSequential)
        .delete(&node.path, None);
    println!("{:?}", client.multi(transaction).await?);
    client.close().await;
    Ok(())
}
