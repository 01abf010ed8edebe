//! What a variant says about its flag.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Attribute, Error, Expr, ExprLit, Fields, Ident, Lit, LitStr, Meta, Path, Variant};

use crate::attributes::{key, literal, set, ungrouped};
use crate::date::Date;
use crate::names;

/// A flag as its variant declares it.
pub(crate) struct Definition {
    pub(crate) variant: Ident,
    pub(crate) name: String,
    pub(crate) name_span: Span,
    owner: Option<String>,
    expiry: Option<Date>,
    default: bool,
    description: TokenStream,
}

impl Definition {
    pub(crate) fn read(variant: &Variant) -> syn::Result<Self> {
        if !matches!(variant.fields, Fields::Unit) {
            return Err(Error::new_spanned(&variant.fields, "a variant that is a flag cannot have fields"));
        }
        let mut attributes = variant.attrs.iter().filter(|attribute| attribute.path().is_ident("flag"));
        let Some(attribute) = attributes.next() else {
            let variant = &variant.ident;
            let what = format!("`{variant}` does not say which flag it is: add `#[flag(name = \"…\")]`");
            return Err(Error::new(variant.span(), what));
        };
        if let Some(second) = attributes.next() {
            return Err(Error::new_spanned(second, "a variant is one flag: `flag` is given twice"));
        }

        let (mut name, mut owner, mut expiry, mut default) = (None, None, None, None);
        let read = |meta: syn::meta::ParseNestedMeta<'_>| {
            let text = |example| {
                literal(&meta, example, |lit| if let Lit::Str(text) = lit { Some(text) } else { None })
            };
            let key = key(&meta.path);
            let span = meta.path.get_ident().map_or_else(Span::call_site, Ident::span);
            match key.as_str() {
                "name" => set(&mut name, &key, span, text("\"CHECKOUT\"")?),
                "owner" => set(&mut owner, &key, span, text("\"payments\"")?),
                "expires" => set(&mut expiry, &key, span, text("\"2027-01-31\"")?),
                "default" => {
                    let bool = literal(&meta, "true", |lit| {
                        if let Lit::Bool(bool) = lit { Some(bool.value) } else { None }
                    })?;
                    set(&mut default, &key, span, bool)
                }
                _ => Err(meta.error("unknown key: `flag` knows `name`, `owner`, `expires` and `default`")),
            }
        };
        match &attribute.meta {
            Meta::List(list) if list.parse_args::<Lit>().is_err() => attribute.parse_nested_meta(read)?,
            other => {
                let what = "the name of the flag has a key: write `#[flag(name = \"…\")]`";
                return Err(Error::new_spanned(other, what));
            }
        }
        let name: LitStr =
            name.ok_or_else(|| Error::new_spanned(attribute, "the flag has no name: add `name = \"…\"`"))?;
        Ok(Self {
            variant: variant.ident.clone(),
            name: names::check(&name)?,
            name_span: name.span(),
            owner: owner.map(|owner: LitStr| owner.value()),
            expiry: expiry.as_ref().map(Date::read).transpose()?,
            default: default.unwrap_or(false),
            description: documentation(&variant.attrs),
        })
    }

    /// The arm of a match that gives it.
    pub(crate) fn arm(&self, krate: &Path) -> TokenStream {
        let Self { variant, name, name_span: _, owner, expiry, default, description } = self;
        let owner = owner.as_ref().map(|owner| quote!(.with_owner(#owner)));
        let expiry = expiry
            .map(|Date { year, month, day }| quote!(.with_expiry(#krate::Date::new(#year, #month, #day))));
        quote! {
            Self::#variant => const {
                &#krate::FlagDefinition::new(#name)
                    .with_description(#description)
                    #owner
                    #expiry
                    .with_default(#default)
            }
        }
    }
}

/// The text of documentation comments, files that they include among them.
fn documentation(attributes: &[Attribute]) -> TokenStream {
    let mut lines = Vec::new();
    for attribute in attributes {
        let Meta::NameValue(meta) = &attribute.meta else { continue };
        if !meta.path.is_ident("doc") {
            continue;
        }
        if let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = ungrouped(&meta.value) {
            let text = text.value();
            let text = text.strip_prefix(' ').unwrap_or(&text);
            lines.push(quote!(#text));
        } else {
            let text = &meta.value;
            lines.push(quote!(#text));
        }
    }
    // Only the compiler reads files.
    quote!(::core::concat!(#(#lines, "\n"),*).trim_ascii())
}
