//! GoogleSQL: lexer, parser, analyzer, plan, executor, functions.
