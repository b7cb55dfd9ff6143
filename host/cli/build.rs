//! Builds the command component, which `bundle` composes a backend with.

#[path = "build/embed.rs"]
mod embed;

fn main() {
    embed::embed("../../guest", "command");
}
