//! `#[derive(Flags)]`.

use std::collections::HashSet;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error};

use crate::attributes::{Errors, crate_path};
use crate::definition::Definition;

pub(crate) fn expand(input: TokenStream) -> syn::Result<TokenStream> {
    let input: DeriveInput = syn::parse2(input)?;
    let Data::Enum(data) = &input.data else {
        return Err(Error::new_spanned(&input.ident, "flags are declared as the variants of an enum"));
    };
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(&input.generics, "an enum of flags cannot be generic"));
    }
    if data.variants.is_empty() {
        return Err(Error::new_spanned(&input.ident, "no flag is declared: add a variant for each"));
    }

    let mut errors = Errors::default();
    let krate = errors.keep(crate_path(&input.attrs));
    let definitions: Vec<Definition> =
        data.variants.iter().filter_map(|variant| errors.keep(Definition::read(variant))).collect();
    let mut names = HashSet::new();
    for definition in &definitions {
        if !names.insert(definition.name.as_str()) {
            let what = format!("there is a flag of the name {:?} already", definition.name);
            errors.push(Error::new(definition.name_span, what));
        }
    }
    let Some(krate) = krate else { return errors.finish().map(|()| TokenStream::new()) };
    errors.finish()?;

    let name = &input.ident;
    let variants = definitions.iter().map(|definition| &definition.variant);
    let arms = definitions.iter().map(|definition| definition.arm(&krate));
    Ok(quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl #krate::Flags for #name {
            const ALL: &'static [Self] = &[#(Self::#variants),*];

            fn definition(self) -> &'static #krate::FlagDefinition {
                match self { #(#arms)* }
            }
        }
    })
}
