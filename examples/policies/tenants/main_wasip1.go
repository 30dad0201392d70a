package main

import "tenants/lb"

func init() { lb.Export(&policy{ask: lb.Header}) }
