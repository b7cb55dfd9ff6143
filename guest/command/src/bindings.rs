//! The contract from the caller's side, generated from `wit/`.

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package artifact:command;
        world command {
            import artifact:storage/artifact-store@0.1.0;
            import artifact:storage/streams@0.1.0;
            import artifact:storage/inventory@0.1.0;
        }
    ",
    world: "artifact:command/command",
    generate_all,
});
