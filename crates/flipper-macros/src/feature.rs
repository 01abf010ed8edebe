//! `#[feature]`.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprLit, ExprPath, Ident, ItemFn, Lit, LitBool, Path, ReturnType, Safety, Token};

use crate::attributes::{flipper, set, ungrouped};
use crate::names;
use crate::patterns::name_arguments;

const KEYS: &str = "`client`, `redirect`, `context`, `default` and `crate`";

/// What is between the parentheses.
struct Gate {
    flag: Expr,
    client: Expr,
    redirect: Option<ExprPath>,
    context: Option<Expr>,
    default: Option<LitBool>,
    krate: Path,
}

impl Parse for Gate {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        const FIRST: &str = "the flag comes first: `#[flipper::feature(\"NAME\", client = …)]`";
        if input.is_empty() {
            return Err(Error::new(Span::call_site(), FIRST));
        }
        if input.peek(Token![crate]) && input.peek2(Token![=]) {
            return Err(input.error(FIRST));
        }
        let flag: Expr = input.parse()?;
        match ungrouped(&flag) {
            Expr::Assign(_) => return Err(Error::new_spanned(&flag, FIRST)),
            Expr::Lit(ExprLit { lit: Lit::Str(name), .. }) => _ = names::check(name)?,
            Expr::Lit(other) => return Err(Error::new_spanned(other, "a flag is named by a text")),
            _ => {}
        }
        let (mut client, mut redirect, mut context, mut default, mut krate) = (None, None, None, None, None);
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            let key = input.call(Ident::parse_any)?;
            let (name, span) = (key.to_string(), key.span());
            if !["client", "redirect", "context", "default", "crate"].contains(&name.as_str()) {
                return Err(Error::new(span, format!("unknown key: `feature` knows {KEYS}")));
            }
            if !input.peek(Token![=]) {
                return Err(Error::new(span, format!("`{name}` needs a value: `{name} = …`")));
            }
            input.parse::<Token![=]>()?;
            match name.as_str() {
                "client" => set(&mut client, &name, span, input.parse()?)?,
                "redirect" => set(&mut redirect, &name, span, input.parse()?)?,
                "context" => set(&mut context, &name, span, input.parse()?)?,
                "default" => set(&mut default, &name, span, input.parse()?)?,
                _ => set(&mut krate, &name, span, input.call(Path::parse_mod_style)?)?,
            }
        }
        let client = client.ok_or_else(|| Error::new(Span::call_site(), "whom to ask? Add `client = …`"))?;
        Ok(Self { flag, client, redirect, context, default, krate: krate.unwrap_or_else(flipper) })
    }
}

pub(crate) fn expand(arguments: TokenStream, function: TokenStream) -> syn::Result<TokenStream> {
    let gate = Gate::parse.parse2(arguments)?;
    let mut function: ItemFn = syn::parse2(function)
        .map_err(|error| Error::new(error.span(), "`feature` is for functions that have a body"))?;
    if let Some(constant) = &function.sig.constness {
        return Err(Error::new_spanned(constant, "a function that is `const` cannot ask for a flag"));
    }

    let arguments = name_arguments(&mut function.sig);
    let on = format_ident!("__flipper_is_on", span = Span::mixed_site());
    let check = check(&gate, function.sig.asyncness.is_some());
    let otherwise = otherwise(&gate, &function, &arguments.same);
    let (lend, take, block) = (&arguments.lend, &arguments.take, &function.block);
    let is_unsafe = matches!(function.sig.safety, Safety::Unsafe(_));
    let is_unsafe = is_unsafe.then(|| quote!(#[allow(unsafe_op_in_unsafe_fn)]));
    let body = quote! {{
        let #on = {
            #(#lend)*
            let #on = #check;
            #on
        };
        if !#on {
            #is_unsafe
            #[allow(unreachable_code)]
            #[allow(clippy::default_trait_access, clippy::diverging_sub_expression, clippy::needless_return)]
            #[allow(clippy::unit_arg, clippy::used_underscore_binding)]
            return #otherwise;
        }
        #(#take)*
        #[allow(unused_braces)]
        #block
    }};
    *function.block = syn::parse2(body)?;
    Ok(quote!(#function))
}

/// Asks.
fn check(gate: &Gate, is_async: bool) -> TokenStream {
    let Gate { flag, client, context, default, krate, .. } = gate;
    let context = context.as_ref().map_or_else(|| quote!(#krate::Context::EMPTY), |context| quote!(#context));
    let none = || quote!(::core::option::Option::None);
    let default =
        default.as_ref().map_or_else(none, |default| quote!(::core::option::Option::Some(#default)));
    // At the client, where an error about its type belongs.
    let client = quote_spanned!(client.span()=> &(#client));
    if is_async {
        quote!(#krate::__gate::is_on(#client, &(#flag), &(#context), #default).await)
    } else {
        quote!(#krate::__gate::is_on_now(#client, &(#flag), &(#context), #default))
    }
}

/// What is returned if the flag is off.
fn otherwise(gate: &Gate, function: &ItemFn, arguments: &[TokenStream]) -> TokenStream {
    let wait = function.sig.asyncness.map(|token| quote_spanned!(token.span()=> .await));
    match (&gate.redirect, &function.sig.output) {
        (Some(redirect), _) => quote_spanned!(redirect.span()=> #redirect(#(#arguments),*) #wait),
        (None, ReturnType::Default) => quote!(()),
        (None, ReturnType::Type(_, output)) => {
            quote_spanned!(output.span()=> ::core::default::Default::default())
        }
    }
}
