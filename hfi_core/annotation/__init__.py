"""The annotation page: people judge candidates in a browser, and the live store holds what they say."""
