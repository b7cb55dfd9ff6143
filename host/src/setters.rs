//! Structs that get more fields in later versions are made from their default and setters.

/// One setter for each field, with the field's name. A field after `some` is an `Option`; its
/// setter takes a value or an option.
macro_rules! setters {
    (
        $type:ty { $($field:ident: $value:ty),* $(,)? }
        $(some { $($optional:ident: $inner:ty),* $(,)? })?
    ) => {
        impl $type {
            $(setters!(@one $field: $value);)*
            $($(setters!(@one $optional: impl Into<Option<$inner>>);)*)?
        }
    };
    (@one $field:ident: $value:ty) => {
        #[doc = concat!(
            "The same with another [`", stringify!($field), "`](#structfield.", stringify!($field), ")."
        )]
        #[must_use]
        pub fn $field(mut self, $field: $value) -> Self {
            self.$field = $field.into();
            self
        }
    };
}

pub(crate) use setters;
