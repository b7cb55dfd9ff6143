//! The types of the contract in Rust, generated from `wit/`.

wit_bindgen::generate!({
    path: "wit",
    inline: "
        package artifact:backend;
        world types {
            import artifact:storage/types@0.1.0;
        }
    ",
    world: "artifact:backend/types",
    generate_all,
});
