package main

import "{{name}}/lb"

func init() { lb.Export(&policy{}) }
