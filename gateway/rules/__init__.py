"""Pure decisions: opposition, identity gate, versions, rights. Rows and the time in, a verdict out."""
