-- The entropy of a token's alternatives, which stands here alone: archives keep it, since working it out for ten million
-- tokens is what a query would wait for; of rows that have no such column (segments, bundles) a query asks this macro.
CREATE MACRO entropy_topk(top) AS TRY_CAST(
    list_sum(list_transform(top, lambda t: CASE WHEN t.logprob > -100 THEN -exp(t.logprob) * t.logprob ELSE 0 END))
    + CASE WHEN list_sum(list_transform(top, lambda t: exp(t.logprob))) < 0.999999
        THEN -(1 - list_sum(list_transform(top, lambda t: exp(t.logprob))))
            * ln(1 - list_sum(list_transform(top, lambda t: exp(t.logprob))))
        ELSE 0 END
    AS FLOAT);

ALTER TABLE stored_tokens ADD COLUMN entropy_topk FLOAT;  -- nats; a lower bound: all outside the top k is one outcome

UPDATE stored_tokens SET entropy_topk = entropy_topk(top) WHERE top IS NOT NULL;
