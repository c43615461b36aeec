import { afterAll, beforeAll } from 'vitest'
import { describeContract } from '../contract.js'
import { describeDataContract } from '../contract-data.js'
import { describeOwnerContract } from '../contract-owner.js'
import { describeEtcd, TestEtcd } from '../support/etcd.js'

describeEtcd('over etcd', () => {
  let etcd: TestEtcd
  beforeAll(async () => {
    etcd = await TestEtcd.ready()
  })
  afterAll(() => etcd?.stop())

  describeContract('etcd', () => etcd.newRoot())
  describeDataContract('etcd', () => etcd.newRoot())
  describeOwnerContract('etcd', () => etcd.newRoot())
})
