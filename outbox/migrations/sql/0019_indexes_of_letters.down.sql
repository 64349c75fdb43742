DROP INDEX duly.dead_letters_closed, duly.dead_letters_unseen;
