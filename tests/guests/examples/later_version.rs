//! A backend of a version of the contract that this host does not know.
#![cfg(target_family = "wasm")]

wit_bindgen::generate!({
    inline: "
        package artifact:storage@0.2.0;
        interface artifact-store {
            put: async func(key: string, data: list<u8>) -> result<_, string>;
        }
        world backend { export artifact-store; }
    ",
});

struct Later;

export!(Later);

impl exports::artifact::storage::artifact_store::Guest for Later {
    async fn put(_: String, _: Vec<u8>) -> Result<(), String> {
        Ok(())
    }
}
