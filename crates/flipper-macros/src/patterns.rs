//! The arguments of a function, by name.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::{Attribute, FnArg, Pat, Signature};

/// How a function's arguments are passed on.
pub(crate) struct Arguments {
    /// What another function is called with, to get the same.
    pub(crate) same: Vec<TokenStream>,
    /// Binds what the patterns of the arguments bind, as references.
    pub(crate) lend: Vec<TokenStream>,
    /// Binds what the patterns of the arguments bind, as the function itself does.
    pub(crate) take: Vec<TokenStream>,
}

/// Gives each argument a name, in place of patterns, and tells how to get at what these bind.
pub(crate) fn name_arguments(signature: &mut Signature) -> Arguments {
    let mut arguments = Arguments { same: Vec::new(), lend: Vec::new(), take: Vec::new() };
    for (at, argument) in signature.inputs.iter_mut().enumerate() {
        let typed = match argument {
            FnArg::Receiver(receiver) => {
                let this = &receiver.self_token;
                arguments.same.push(quote!(#this));
                continue;
            }
            FnArg::Typed(typed) => typed,
        };
        // An argument that is not there is not passed on either.
        let cfg: Vec<&Attribute> = typed.attrs.iter().filter(|it| it.path().is_ident("cfg")).collect();
        if let Pat::Ident(name) = &*typed.pat
            && name.by_ref.is_none()
            && name.subpat.is_none()
        {
            let name = &name.ident;
            arguments.same.push(quote!(#(#cfg)* #name));
            continue;
        }
        let pattern = (*typed.pat).clone();
        let name = format_ident!("__flipper_argument_{at}", span = Span::mixed_site());
        *typed.pat = syn::parse_quote!(#name);
        arguments.same.push(quote!(#(#cfg)* #name));
        if matches!(pattern, Pat::Wild(_)) {
            // It binds nothing, and lints look for what is let go of by `let _`.
            continue;
        }
        if let Some(lent) = as_reference(pattern.clone()) {
            arguments.lend.push(quote! {
                #(#cfg)*
                #[allow(unused_variables)]
                let #lent = &#name;
            });
        }
        arguments.take.push(quote!(#(#cfg)* let #pattern = #name;));
    }
    arguments
}

/// The pattern for a reference to the same value; `None` for one that has references itself, which cannot be matched so.
fn as_reference(mut pattern: Pat) -> Option<Pat> {
    if let Pat::Reference(outer) = &mut pattern
        && outer.mutability.is_none()
    {
        // What it refers to is there for as long as is needed: to look through it is enough.
        *outer.pat = as_reference((*outer.pat).clone())?;
        return Some(pattern);
    }
    strip(&mut pattern).then_some(pattern)
}

/// Takes `mut` and `ref` off; returns whether what is left matches a reference.
fn strip(pattern: &mut Pat) -> bool {
    match pattern {
        Pat::Ident(name) => {
            name.by_ref = None;
            name.mutability = None;
            name.subpat.as_mut().is_none_or(|(_, pattern)| strip(pattern))
        }
        Pat::Paren(inner) => strip(&mut inner.pat),
        Pat::Slice(slice) => slice.elems.iter_mut().all(strip),
        Pat::Struct(fields) => fields.fields.iter_mut().all(|field| strip(&mut field.pat)),
        Pat::Tuple(tuple) => tuple.elems.iter_mut().all(strip),
        Pat::TupleStruct(tuple) => tuple.elems.iter_mut().all(strip),
        Pat::Path(_) | Pat::Rest(_) | Pat::Wild(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use quote::ToTokens;

    use super::*;

    #[test]
    fn patterns_of_arguments_are_lent_without_what_takes_them() {
        let mut signature: Signature = syn::parse_quote! {
            fn handler(
                &self,
                State(mut app): State<App>,
                count: u8,
                Pair { a, b: (ref c, _) }: Pair,
                &(mut d, _): &(u8, u8),
                &mut e: &mut u8,
                _: u8,
            )
        };
        let arguments = name_arguments(&mut signature);
        let lent: Vec<String> = arguments.lend.iter().map(ToString::to_string).collect();
        assert_eq!(lent.len(), 3, "{lent:?}");
        assert!(lent[0].contains("State (app) = & __flipper_argument_1"), "{}", lent[0]);
        assert!(lent[1].contains("Pair { a , b : (c , _) }"), "{}", lent[1]);
        assert!(lent[2].contains("& (d , _)"), "{}", lent[2]);
        assert_eq!(arguments.take.len(), 4);
        let same: Vec<String> = arguments.same.iter().map(ToString::to_string).collect();
        assert_eq!(same[0], "self");
        assert_eq!(same[2], "count");
        assert!(signature.to_token_stream().to_string().contains("__flipper_argument_6 : u8"));
    }
}
