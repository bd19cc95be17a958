//! `#[scrimmage::test]`. Use it through the crate `scrimmage`, which says what it does.

use proc_macro::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};

/// Makes a test of an async function that takes a stage; see `scrimmage::test`.
#[proc_macro_attribute]
pub fn test(settings: TokenStream, item: TokenStream) -> TokenStream {
    expand(settings, item).unwrap_or_else(|problem| {
        let text = format!("::core::compile_error!({problem:?});");
        text.parse().unwrap_or_default()
    })
}

/// An `async fn` in its parts.
struct Function {
    /// Attributes and visibility.
    before: Vec<TokenTree>,
    name: Ident,
    parameters: Group,
    /// What stands between the parameters and the body.
    returns: Vec<TokenTree>,
    body: Group,
}

fn expand(settings: TokenStream, item: TokenStream) -> Result<TokenStream, String> {
    let function = take_apart(item)?;
    let takes_stage = !function.parameters.stream().is_empty();
    let settings = calls(settings)?;
    let Function { before, name, parameters, returns, body } = function;
    let parsed = |text: &str| text.parse::<TokenStream>().map_err(|error| error.to_string());

    // The function as it is written, within the test that calls it: its tokens keep their places, so
    // that the compiler's messages point into the user's file.
    let mut inner = parsed("async fn")?;
    inner.extend([TokenTree::Ident(name.clone()), TokenTree::Group(parameters)]);
    inner.extend(returns.clone());
    inner.extend([TokenTree::Group(body)]);
    let hand_over = if takes_stage { format!("|stage| {name}(stage)") } else { format!("|_| {name}()") };
    inner.extend(parsed(&format!(
        "::scrimmage::testing::run(::scrimmage::testing::Stage::builder(){settings}, {hand_over})"
    ))?);

    let mut outer: TokenStream = parsed("#[::core::prelude::v1::test]")?;
    outer.extend(before);
    outer.extend([TokenTree::Ident(Ident::new("fn", Span::call_site())), TokenTree::Ident(name)]);
    outer.extend([TokenTree::Group(Group::new(Delimiter::Parenthesis, TokenStream::new()))]);
    outer.extend(returns);
    outer.extend([TokenTree::Group(Group::new(Delimiter::Brace, inner))]);
    Ok(outer)
}

fn take_apart(item: TokenStream) -> Result<Function, String> {
    const WANTED: &str = "#[scrimmage::test] is for `async fn name(stage: Stage) { … }`";
    let mut tokens: Vec<TokenTree> = item.into_iter().collect();
    let is_word = |token: &TokenTree, word: &str| matches!(token, TokenTree::Ident(ident) if ident.to_string() == word);
    let keyword = tokens.iter().position(|token| is_word(token, "fn")).ok_or(WANTED)?;
    let Some(is_async) = keyword.checked_sub(1).filter(|at| is_word(&tokens[*at], "async")) else {
        return Err(WANTED.to_owned());
    };
    let Some(TokenTree::Group(body)) = tokens.pop().filter(|last| is_group(last, Delimiter::Brace)) else {
        return Err(WANTED.to_owned());
    };
    let mut after = tokens.split_off(keyword + 1).into_iter();
    let Some(TokenTree::Ident(name)) = after.next() else { return Err(WANTED.to_owned()) };
    let Some(TokenTree::Group(parameters)) = after.next().filter(|next| is_group(next, Delimiter::Parenthesis)) else {
        return Err(format!("{WANTED}; it takes no type parameters"));
    };
    tokens.truncate(is_async);
    Ok(Function { before: tokens, name, parameters, returns: after.collect(), body })
}

fn is_group(token: &TokenTree, delimiter: Delimiter) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == delimiter)
}

/// `seed = 7, virtual_clock` as calls to the builder: `.seed(7).virtual_clock()`.
fn calls(settings: TokenStream) -> Result<String, String> {
    let mut text = String::new();
    let mut tokens = settings.into_iter();
    while let Some(token) = tokens.next() {
        let TokenTree::Ident(name) = token else {
            return Err(format!("`{token}` is no setting: write `seed = 7, virtual_clock`"));
        };
        let mut value = TokenStream::new();
        let is = |token: &TokenTree, sign: char| matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign);
        match tokens.next() {
            None => {}
            Some(comma) if is(&comma, ',') => {}
            Some(equals) if is(&equals, '=') => {
                value.extend(tokens.by_ref().take_while(|token| !is(token, ',')));
            }
            Some(other) => return Err(format!("`{name}` is followed by `{other}`: write `{name} = …`")),
        }
        text.push_str(&format!(".{name}({value})"));
    }
    Ok(text)
}
