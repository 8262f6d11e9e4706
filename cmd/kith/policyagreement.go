package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

func (c officer) agreements(ctx context.Context) error {
	var list struct {
		Agreements []struct {
			ID, Title, End, Warning string
			Parties                 []struct{ Agency, State string }
		}
	}
	if err := c.call(ctx, http.MethodGet, "/v1/agreements", nil, &list); err != nil {
		return err
	}
	for _, a := range list.Agreements {
		fmt.Fprintf(c.out, "%s  ends %s  %s  %s\n ", a.ID, a.End, a.Warning, a.Title)
		for _, p := range a.Parties {
			fmt.Fprintf(c.out, " %s %s", p.Agency, p.State)
		}
		fmt.Fprintln(c.out)
	}
	return nil
}

// affected says whom it hits when one's own agency stops its part.
func (c officer) affected(ctx context.Context, agreement string) error {
	var a struct {
		Children, Families int
		Protection         int  `json:"child_protection"`
		Few                bool `json:"fewer_than_five"`
		Agencies           []string
	}
	if err := c.call(ctx, http.MethodGet, "/v1/agreements/"+url.PathEscape(agreement)+"/affected", nil, &a); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "it reaches %d children with open work, %d of them in child protection, in %d families; %s lose what was shared\n",
		a.Children, a.Protection, a.Families, strings.Join(a.Agencies, ", "))
	if a.Few {
		fmt.Fprintln(c.out, "(a 4 stands for fewer than five)")
	}
	return nil
}

func (c officer) onAgreement(ctx context.Context, o policyOptions, act string) error {
	body := map[string]string{"agency": o.agency, "reason": o.why, "ends_on": o.until, "post": o.post, "evidence": o.evidence}
	var answer struct{ Done bool }
	if err := c.call(ctx, http.MethodPost, "/v1/agreements/"+url.PathEscape(o.target)+"/"+act, body, &answer); err != nil {
		return err
	}
	if !answer.Done {
		fmt.Fprintln(c.out, "asked: an officer of another party must confirm it")
		return nil
	}
	fmt.Fprintln(c.out, "done")
	return nil
}
