//! Embeds the built-in store.
use artifact_store::ArtifactStore;

#[tokio::main]
async fn main() -> artifact_store::Result<()> {
    let store = ArtifactStore::open_dir("artifacts").await?;
    store.put("builds/app-1.2", "the bytes of a build").await?;
    let data = store.get("builds/app-1.2").await?;
    println!("{}", String::from_utf8_lossy(&data));
    store.delete("builds/app-1.2").await
}
