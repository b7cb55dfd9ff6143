//! Exports the contract's interface by its name, with functions of other types.
#![cfg(target_family = "wasm")]

wit_bindgen::generate!({
    inline: "
        package artifact:storage@0.1.0;
        interface artifact-store {
            put: async func(key: string, data: stream<u16>) -> result<_, string>;
            get: func(key: string) -> result<list<u16>, string>;
            delete: async func(key: string) -> result<_, string>;
        }
        world backend { export artifact-store; }
    ",
});

struct Wrong;

export!(Wrong);

impl exports::artifact::storage::artifact_store::Guest for Wrong {
    async fn put(_: String, _: wit_bindgen::StreamReader<u16>) -> Result<(), String> {
        Ok(())
    }

    fn get(_: String) -> Result<Vec<u16>, String> {
        Ok(Vec::new())
    }

    async fn delete(_: String) -> Result<(), String> {
        Ok(())
    }
}
