"""What SOCRATES_HOME holds, as things to look after: their sizes, a bin, an archive, and proof that they are whole."""
