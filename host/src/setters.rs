//! Structs that get more fields in later versions: they are made from their default, field by field.

/// One method for each field, of the field's name, which sets it; those after `some` take a value or
/// an option.
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
