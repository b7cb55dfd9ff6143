//! Builds the backends that are embedded in the library.

#[path = "build/embed.rs"]
mod embed;

fn main() {
    embed::embed("../guest", "fs");
    if std::env::var_os("CARGO_FEATURE_NETWORK").is_some() {
        embed::embed("../guest", "s3");
    }
}
