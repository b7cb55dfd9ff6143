//! A component of another world, which has nothing to do with the contract.
#![cfg(target_family = "wasm")]

wit_bindgen::generate!({
    inline: "
        package test:other;
        world greeter { export greet: func() -> string; }
    ",
});

struct Greeter;

export!(Greeter);

impl Guest for Greeter {
    fn greet() -> String {
        "hello".into()
    }
}
