//! Plugs a backend of one's own into the store and grants it a directory:
//! `cargo run --example plug_in -- backend.wasm ./data`.
use artifact_store::{ArtifactStore, Backend, Grants};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Some(dir)) = (arguments.next(), arguments.next()) else {
        return Err("usage: plug_in BACKEND.wasm DIR".into());
    };
    let backend = Backend::from_file(file).grants(Grants::none().read_write(dir, "/"));
    let store = ArtifactStore::open(backend).await?;
    store.put("greeting", "hello from the sandbox").await?;
    println!("{}", String::from_utf8_lossy(&store.get("greeting").await?));
    Ok(())
}
